"""How fast `edgecnn evaluate` is: against its own parts split perfectly over all cores, and against a plain loop.

    python tools/evaluate_speed.py BUNDLE DATA [--limit N] [--rounds N]

Three ways over the same labelled pictures, interleaved, medians:

- parts: decode every picture that lies in memory, then invoke the interpreter as often, and nothing else, in one
  process a core at the same time, each with its share: the least that any program could take. "Halved" is one process
  alone, its time divided by the number of cores, which cores that share caches, clock or a host do not reach.
- edgecnn: what `evaluate` does between opening the data and its figures.
- plain loop: one picture after the other, as label_image.py of TFLite and its tutorials of int8 do it: Pillow, resize,
  float arithmetic with the tensor's scale and zero point, set_tensor, invoke, get_tensor, argmax.
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset, Sample, open_dataset
from edgecnn.data.store import open_store
from edgecnn.measure.evaluate import labelled_task
from edgecnn.measure.score import score
from edgecnn.runtime.classifier import Classifier


def parts(classifier: Classifier, contents: Sequence[bytes], cores: int) -> float:
    """Seconds to decode the pictures and to invoke the interpreter as often, split over processes that do only that."""
    engine = classifier.clone().engine
    started = time.perf_counter()
    children = []
    for core in range(cores):
        child = os.fork()
        if not child:
            for content in contents[core::cores]:
                cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            for _ in contents[core::cores]:
                engine.invoke()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return time.perf_counter() - started


def whole(classifier: Classifier, dataset: Dataset, samples: Sequence[Sample]) -> tuple[float, float]:
    """Seconds, and the share of right answers, of edgecnn."""
    started = time.perf_counter()
    scores = score([classifier], dataset, samples)
    truth = np.array([sample.label for sample in scores.samples])
    return time.perf_counter() - started, float(np.mean(scores.predicted() == truth))


def plain_loop(
    bundle: str, want: Preprocess, contents: Sequence[bytes], labels: Sequence[int | None]
) -> tuple[float, float]:
    """Seconds, and the share of right answers, of the loop that tutorials show."""
    from ai_edge_litert.interpreter import Interpreter
    from PIL import Image

    started = time.perf_counter()
    interpreter = Interpreter(model_path=bundle)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = source["quantization"]
    hits = 0
    for content, label in zip(contents, labels, strict=True):
        image = Image.open(io.BytesIO(content)).convert("L" if want.channels == 1 else "RGB").resize(want.size)
        pixels = np.expand_dims(np.asarray(image, np.float32).reshape(want.height, want.width, want.channels), axis=0)
        values = (pixels - np.array(want.mean, np.float32)) / np.array(want.std, np.float32)
        if scale:
            limits = np.iinfo(source["dtype"])
            values = np.clip(np.round(values / scale + zero_point), limits.min, limits.max)
        interpreter.set_tensor(source["index"], values.astype(source["dtype"]))
        interpreter.invoke()
        hits += int(np.argmax(interpreter.get_tensor(target["index"])[0]) == label)
    return time.perf_counter() - started, hits / len(contents)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("data")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    classifier, cores = Classifier(options.bundle), os.cpu_count() or 1
    with open_dataset(options.data) as dataset, open_store(options.data) as store:
        samples = labelled_task(dataset, classifier.labels, dataset.measured_split(), limit=options.limit).samples
        top = next(name for name in store.names() if name.endswith(samples[0].name)).removesuffix(samples[0].name)
        contents = [store.read(top + sample.name) for sample in samples]
        labels = [sample.label for sample in samples]
        times: dict[str, list[float]] = {"halved": [], "parts": [], "edgecnn": [], "plain loop": []}
        ways: dict[str, Callable[[], tuple[float, float]]] = {
            "halved": lambda: (parts(classifier, contents, 1) / cores, 0.0),
            "parts": lambda: (parts(classifier, contents, cores), 0.0),
            "edgecnn": lambda: whole(classifier, dataset, samples),
            "plain loop": lambda: plain_loop(options.bundle, classifier.preprocess, contents, labels),
        }
        right = {}
        for _ in range(options.rounds):
            for name, way in ways.items():
                seconds, right[name] = way()
                times[name].append(seconds)
    print(f"{len(samples):,} pictures, {cores} cores, medians of {options.rounds} rounds")
    for name, values in times.items():
        note = "" if not right[name] else f"  top-1 {right[name]:.2%}"
        print(f"  {name:<12} {statistics.median(values):7.3f} s  ({min(values):.3f} to {max(values):.3f}){note}")
    for name in ("halved", "parts", "plain loop"):
        ratios = [mine / other for mine, other in zip(times["edgecnn"], times[name], strict=True)]
        print(f"  edgecnn / {name:<12} {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
