"""What an epoch of `edgecnn train` costs over a bare `model.fit` of the same network on the same arrays in memory.

    python tools/train_overhead.py CIFAR10_FOLDER [--images 12800] [--rounds 3] [--augment none]

Both train ResNet-8 with SGD on the same pictures in batches of 128, as fresh processes, in turn. The first epoch, which
builds the graph, is left out; the epochs of `edgecnn train` include its checkpoint and logs. Medians and the ratios of
neighbouring runs are printed.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EPOCHS, BATCH = 3, 128


def bare(folder: str) -> list[float]:
    """Seconds of each epoch of the bare script: everything decoded and normalized before it begins."""
    import cv2
    import keras
    import numpy as np

    from edgecnn.train.architectures import build_network

    paths = sorted(Path(folder).glob("train/*/*"))
    classes = sorted({path.parent.name for path in paths})
    pictures = (
        np.stack([np.asarray(cv2.imread(str(path)))[:, :, ::-1] for path in paths]).astype(np.float32) / 127.5 - 1
    )
    labels = np.array([classes.index(path.parent.name) for path in paths])
    model = build_network("resnet8", (32, 32, 3), len(classes))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
    seconds = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        model.fit(pictures, labels, batch_size=BATCH, verbose=0)
        seconds.append(time.perf_counter() - started)
    return seconds


def ours(folder: str, augment: str) -> list[float]:
    """Seconds of each epoch of `edgecnn train`."""
    with tempfile.TemporaryDirectory() as place:
        command = [
            sys.executable, "-m", "edgecnn", "train", folder, "-o", f"{place}/model.keras", "--arch", "resnet8",
            "--epochs", str(EPOCHS), "--batch-size", str(BATCH), "--optimizer", "sgd", "--augment", augment,
            "--train-on-val", "--json",
        ]  # fmt: skip
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [row["seconds"] for row in json.loads(result.stdout)["history"]]


def subset(source: Path, folder: Path, images: int) -> None:
    """Links to the first pictures of every class, and to a few for the test split."""
    for split, count in (("train", images), ("test", 100)):
        classes = sorted(path for path in (source / split).iterdir() if path.is_dir())
        for place in classes:
            (folder / split / place.name).mkdir(parents=True)
            for path in itertools.islice(sorted(place.iterdir()), count // len(classes)):
                (folder / split / place.name / path.name).symlink_to(path.resolve())


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--augment", default="none")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(bare(str(options.data))))
        return
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ratios, fits, trains = [], [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        subset(options.data, folder, options.images)
        for number in range(options.rounds):
            command = [sys.executable, __file__, str(folder), "--bare"]
            made = subprocess.run(command, check=True, capture_output=True, env=environment)
            fit = statistics.median(json.loads(made.stdout.splitlines()[-1])[1:])
            train = statistics.median(ours(str(folder), options.augment)[1:])
            fits.append(fit)
            trains.append(train)
            ratios.append(train / fit)
            print(f"round {number + 1}: model.fit {fit:.2f} s, edgecnn train {train:.2f} s, ratio {train / fit:.3f}")
    print(
        f"median epoch of {options.images:,} images, augmentation {options.augment}: model.fit "
        f"{statistics.median(fits):.2f} s, edgecnn train {statistics.median(trains):.2f} s, "
        f"ratio {statistics.median(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
