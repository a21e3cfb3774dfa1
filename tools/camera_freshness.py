"""How old is a frame when it is labelled? edgecnn's newest-frame reader against the usual FIFO VideoCapture loop.

    python -m tools.camera_freshness.py BUNDLE [--seconds 10] [--inference-ms 200]

A camera on the network sends 30 numbered pictures a second; inference is slowed down to five a second. Both programs
watch the same camera at the same time. The age is now minus when the picture, read from its own pixels, was due.
"""

import argparse
import json
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn import Camera, Classifier
from tests.camera.stream import Stream, number_of

RATE = 30.0


def slowed(classifier: Classifier, seconds: float) -> Classifier:
    """The same classifier, whose inference takes at least so long."""
    invoke = classifier.engine.invoke

    def slow() -> None:
        begin = time.perf_counter()
        invoke()
        time.sleep(max(0.0, seconds - (time.perf_counter() - begin)))

    vars(classifier.engine)["invoke"] = slow
    return classifier


def fifo(address: str, classifier: Classifier, stream: Stream, stop: threading.Event, ages: list[float]) -> None:
    """The loop that most examples show: read the next picture, classify it."""
    capture = cv2.VideoCapture(address)
    while not stop.is_set():
        done, frame = capture.read()
        if not done:
            break
        pixels: NDArray[np.uint8] = np.asarray(frame, np.uint8)
        classifier.classify(pixels)
        ages.append(time.monotonic() - stream.sent_at(number_of(pixels)))
    capture.release()


def run(bundle: Path, seconds: float, inference: float) -> dict[str, Any]:
    """Both at once for a while."""
    stream, stop = Stream(rate=RATE), threading.Event()
    theirs: list[float] = []
    ours: list[float] = []
    numbers: list[int] = []
    other = threading.Thread(
        target=fifo, args=(stream.address, slowed(Classifier(bundle), inference), stream, stop, theirs)
    )
    other.start()
    with Camera(slowed(Classifier(bundle), inference), stream.address) as camera:
        end = time.monotonic() + seconds
        for seen in camera:
            number = number_of(seen.frame.pixels)
            numbers.append(number)
            ours.append(time.monotonic() - stream.sent_at(number))
            if time.monotonic() > end:
                break
        summary = camera.summary()
    stop.set()
    other.join()
    stream.kill()
    mine, fifo_age = 1e3 * statistics.median(ours), 1e3 * statistics.median(theirs)
    return {
        "age_p50_ms": {"edgecnn": round(mine, 1), "fifo": round(fifo_age, 1)},
        "ratio": round(mine / fifo_age, 3),
        "told_by_edgecnn_ms": summary["age_p50_ms"],
        "frames": len(numbers),
        "counted_twice": len(numbers) - len(set(numbers)),
        "dropped": summary["dropped"],
    }


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--inference-ms", type=float, default=200.0)
    options: Any = parser.parse_args()
    print(json.dumps(run(options.bundle, options.seconds, options.inference_ms / 1e3)))


if __name__ == "__main__":
    main()
