"""What `edgecnn convert` costs over a bare script that does the same work with the same libraries.

    python tools/convert_overhead.py MODEL.h5 DATA.tar.gz [--rounds 3] [--parallel]

The bare script reads the archive, imports TensorFlow, converts, calibrates and quantizes with
ai-edge-quantizer, and evaluates the float and the int8 model on the same test images. It knows the
preprocessing (raw pixels) and checks nothing. Both run as fresh processes, in turn; medians are compared.
With --parallel the bare script spreads its evaluation over two threads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def bare(model_path: str, data_path: str, output: str, parallel: bool) -> None:
    """The bare script itself: classes are the archive's folder names in sorted order."""
    import tarfile
    from concurrent.futures import ThreadPoolExecutor

    import cv2
    import numpy as np

    train: dict[str, list[bytes]] = {}
    test: list[tuple[str, bytes]] = []
    with tarfile.open(data_path) as archive:
        for member in archive:
            if member.isfile():
                _, split, label, _ = member.name.split("/")
                content = archive.extractfile(member).read()  # type: ignore[union-attr]  # a regular file has one
                if split == "test":
                    test.append((label, content))
                else:
                    train.setdefault(label, []).append(content)
    classes = sorted(train)

    import tensorflow as tf
    import tf_keras

    model = tf_keras.models.load_model(model_path, compile=False)
    float_model = tf.lite.TFLiteConverter.from_keras_model(model).convert()

    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    def decode(content: bytes) -> "np.typing.NDArray[np.uint8]":
        return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))[:, :, ::-1]

    work = quantizer.Quantizer(float_model, recipe.static_wi8_ai8())
    name = Interpreter(model_content=float_model).get_signature_list()["serving_default"]["inputs"][0]
    pictures = [decode(train[label][i]).astype(np.float32)[None] for i in range(30) for label in classes]
    ranges = work.calibrate({"serving_default": [{name: picture} for picture in pictures]})
    int8_model = bytes(work.quantize(ranges).quantized_model or b"")

    def hits(content: bytes, part: list[tuple[str, bytes]]) -> int:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        scale, zero = source["quantization"]
        right = 0
        for label, data in part:
            picture = decode(data)
            if source["dtype"] == np.int8:
                picture = np.clip(np.round(picture / scale) + zero, -128, 127)
            interpreter.set_tensor(source["index"], picture[None].astype(source["dtype"]))
            interpreter.invoke()
            right += classes[int(interpreter.get_tensor(sink["index"]).argmax())] == label
        return right

    parts = [test[i::2] for i in range(2)] if parallel else [test]
    with ThreadPoolExecutor(len(parts)) as pool:
        accuracies = [
            sum(pool.map(lambda part, c=c: hits(c, part), parts)) / len(test) for c in (float_model, int8_model)
        ]
    Path(output).write_bytes(int8_model)
    sys.stdout.write(json.dumps({"float": accuracies[0], "output": accuracies[1]}) + "\n")


def main() -> None:
    """Run both in turn and print seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parallel", action="store_true")
    parser.add_argument("--bare", metavar="OUTPUT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        bare(arguments.model, arguments.data, arguments.bare, arguments.parallel)
        return
    seconds: dict[str, list[float]] = {"bare": [], "edgecnn": []}
    with tempfile.TemporaryDirectory() as folder:
        common = [arguments.model, "--data", arguments.data, "--quantize", "int8", "-o", f"{folder}/edgecnn.tflite"]
        bare_command = [sys.executable, __file__, arguments.model, arguments.data, "--bare", f"{folder}/bare.tflite"]
        commands = {
            "bare": [*bare_command, *(["--parallel"] if arguments.parallel else [])],
            "edgecnn": [sys.executable, "-m", "edgecnn", "convert", *common, "--json"],
        }
        for number in range(arguments.rounds):
            for name, command in commands.items():
                started = time.perf_counter()
                done = subprocess.run(
                    command, capture_output=True, text=True, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
                )
                seconds[name].append(time.perf_counter() - started)
                # ai-edge-quantizer prints on the bare script's stdout too; its own line is the last
                bare_line = done.stdout.strip().splitlines()[-1]
                accuracy = json.loads(bare_line) if name == "bare" else json.loads(done.stdout)["accuracy"]
                print(f"round {number + 1}  {name:8} {seconds[name][-1]:6.2f} s  {json.dumps(accuracy)}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"median: bare {medians['bare']:.2f} s, edgecnn {medians['edgecnn']:.2f} s, ", end="")
    print(f"ratio {medians['edgecnn'] / medians['bare']:.3f}")


if __name__ == "__main__":
    main()
