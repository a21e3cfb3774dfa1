"""Frame to label against the bare interpreter, the usual hand-written loop, and MediaPipe.

    python -m tools.camera_latency.py PHOTO BUNDLE... [--rounds 30] [--fresh] [--mediapipe-venv DIR]

All classify the same 1280x720 BGR frames with the same `.tflite`, one thread, in turn: a block of frames each, again
and again, because a loop finds in the caches what it left there. With --fresh the frame is written into the buffer that
it is read from before each step, outside the time, as a capture in the same thread does; that empties the caches.

    bare      Interpreter.invoke() alone
    floor     cv2.resize into a buffer and invoke, nothing else: no loop that resizes so can be faster
    edgecnn   the camera loop's step: resize, colours, quantization, invoke, probabilities, smoothing, label
    script    resize, cvtColor, float normalization, quantization, set_tensor, invoke, dequantization, argsort
    mediapipe ImageClassifier.classify of the same frame, already in RGB; uint8 and float32 bundles only

Medians are printed, and under them the median of the rounds' ratios, each between blocks a moment apart, so that a
machine that changes its speed counts on both sides. MediaPipe runs in a process and an environment of its own.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.mediapipe_check import DEFAULT_VENV, environment

FRAME_SIZE = (1280, 720)  # width, height
FRAMES = 4
BLOCK = 20  # frames in a row; the first of them is not counted
NAMES = ("bare", "floor", "edgecnn", "script", "mediapipe")

# Runs in MediaPipe's environment: a line on stdin is a number of frames; their milliseconds are printed in one line.
CHILD = """
import sys, time
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision

frames = numpy.load(sys.argv[2])
buffer = frames[0].copy()
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=1)
with vision.ImageClassifier.create_from_options(options) as classifier:
    for line in sys.stdin:
        times = []
        for number in range(int(line)):
            if sys.argv[3] == "fresh":
                buffer[:] = frames[number % len(frames)]
            begin = time.perf_counter()
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=buffer)
            classifier.classify(image)
            times.append(1e3 * (time.perf_counter() - begin))
        print(*times, flush=True)
"""


def frames_of(photo: Path) -> NDArray[np.uint8]:
    """A few different frames (count, height, width, 3) in BGR, as a camera's ring of buffers holds them."""
    from edgecnn import read_image

    picture = cv2.resize(read_image(photo), FRAME_SIZE, interpolation=cv2.INTER_AREA)
    return np.stack([np.roll(picture, 40 * i, axis=1) for i in range(FRAMES)]).astype(np.uint8)


def edgecnn_step(bundle: Path) -> Callable[[NDArray[np.uint8]], object]:
    """What `edgecnn camera` does with a frame, with its defaults."""
    from edgecnn import Classifier
    from edgecnn.camera.labeller import Labeller

    return Labeller(Classifier(bundle)).label


def bare_step(bundle: Path) -> Callable[[NDArray[np.uint8]], object]:
    """The interpreter alone."""
    interpreter = _interpreter(bundle)

    def step(frame: NDArray[np.uint8]) -> None:
        interpreter.invoke()

    return step


def floor_step(bundle: Path) -> Callable[[NDArray[np.uint8]], object]:
    """The interpreter and the resize that every loop needs."""
    interpreter = _interpreter(bundle)
    height, width = interpreter.get_input_details()[0]["shape"][1:3]
    small = np.empty((height, width, 3), np.uint8)

    def step(frame: NDArray[np.uint8]) -> None:
        cv2.resize(frame, (width, height), small)
        interpreter.invoke()

    return step


def script_step(bundle: Path) -> Callable[[NDArray[np.uint8]], object]:
    """The loop that most examples show."""
    from edgecnn import open_bundle

    opened = open_bundle(bundle.read_bytes())
    assert opened.card is not None
    mean, std = (np.array(values, np.float32) for values in (opened.card.preprocess.mean, opened.card.preprocess.std))
    interpreter, labels = _interpreter(bundle), opened.labels
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    height, width = source["shape"][1:3]

    def step(frame: NDArray[np.uint8]) -> tuple[str, float]:
        picture = cv2.cvtColor(cv2.resize(frame, (width, height)), cv2.COLOR_BGR2RGB)
        tensor = (np.expand_dims(picture, 0).astype(np.float32) - mean) / std
        if source["dtype"] != np.float32:
            scale, zero_point = source["quantization"]
            tensor = np.clip(np.round(tensor / scale + zero_point), *_ends(source["dtype"])).astype(source["dtype"])
        interpreter.set_tensor(source["index"], tensor)
        interpreter.invoke()
        scores = np.squeeze(interpreter.get_tensor(sink["index"]))
        if sink["dtype"] != np.float32:
            scale, zero_point = sink["quantization"]
            scores = scale * (scores.astype(np.float32) - zero_point)
        best = np.argsort(-scores)[:5]
        return labels[best[0]], float(scores[best[0]])

    return step


def measure(
    bundle: Path, frames: NDArray[np.uint8], *, rounds: int, fresh: bool, python: Path | None
) -> dict[str, list[float]]:
    """Each round's median milliseconds by contender; MediaPipe only where its Python is given and takes the bundle."""
    makers = {"bare": bare_step, "floor": floor_step, "edgecnn": edgecnn_step, "script": script_step}
    steps = {name: make(bundle) for name, make in makers.items()}
    buffer = frames[0].copy()
    medians: dict[str, list[float]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as folder:
        child = _start_mediapipe(python, bundle, frames, fresh, Path(folder)) if python else None
        for _ in range(rounds):
            for name, step in steps.items():
                times = []
                for number in range(BLOCK):
                    if fresh:
                        np.copyto(buffer, frames[number % FRAMES])
                    begin = time.perf_counter()
                    step(buffer)
                    times.append(1e3 * (time.perf_counter() - begin))
                medians[name].append(statistics.median(times[1:]))
            if child and (times := _ask(child, BLOCK)):
                medians["mediapipe"].append(statistics.median(times[1:]))
        if child:
            child.communicate()
    return {name: values for name, values in medians.items() if values}


def _ask(child: Any, frames: int) -> list[float]:
    """MediaPipe's milliseconds of so many frames; none where it does not take the bundle."""
    try:
        child.stdin.write(f"{frames}\n")
        child.stdin.flush()
    except BrokenPipeError:
        return []
    return [float(number) for number in child.stdout.readline().split()]


def _start_mediapipe(python: Path, bundle: Path, frames: NDArray[np.uint8], fresh: bool, folder: Path) -> Any:
    np.save(folder / "frames.npy", np.ascontiguousarray(frames[..., ::-1]))
    command = [str(python), "-c", CHILD, str(bundle.resolve()), str(folder / "frames.npy"), "fresh" if fresh else ""]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _interpreter(bundle: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(bundle), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def _ends(dtype: Any) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def main() -> None:
    """Measure and print one line a bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--mediapipe-venv", type=Path, default=DEFAULT_VENV, help="made on first use")
    parser.add_argument("--no-mediapipe", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options: Any = parser.parse_args()
    cv2.setNumThreads(1)
    frames = frames_of(options.photo)
    python = None if options.no_mediapipe else environment(options.mediapipe_venv)
    print(f"{'p50 ms':<18}" + "".join(f"{name:>10}" for name in NAMES))
    for bundle in options.bundles:
        found = measure(bundle, frames, rounds=options.rounds, fresh=options.fresh, python=python)
        cells = [statistics.median(found[name]) if name in found else None for name in NAMES]
        ours = found["edgecnn"]
        ratios = [
            statistics.median(mine / other for mine, other in zip(ours, found[name], strict=True))
            if name in found
            else None
            for name in NAMES
        ]
        print(f"{bundle.name[:17]:<18}{_row(cells)}\n{'  edgecnn / it':<18}{_row(ratios)}", flush=True)


def _row(numbers: list[float | None]) -> str:
    return "".join(f"{'-':>10}" if number is None else f"{number:10.3f}" for number in numbers)


if __name__ == "__main__":
    main()
