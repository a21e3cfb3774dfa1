"""Peak memory of training on a folder of many photos, over what Keras and its engine take by themselves.

    python tools/train_memory.py [--photos 10000] [--arch mobilenetv2_035] [--input-size 224]

Makes the photos (JPEG, 640x480, noise over a colour, so that they compress like photos), trains one epoch in a fresh
process, and compares its peak resident memory with that of a process that only takes a training step of the same
network on one batch.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

BATCH = 32


def make_photos(folder: Path, count: int) -> None:
    """Two classes of photos, told apart by their colour; a tenth of them to test."""
    random = np.random.default_rng(0)
    for i in range(count):
        kind, split = ("blue", "red")[i % 2], "test" if i % 10 == 9 else "train"
        small = random.integers(0, 120, (60, 80, 3), np.uint8)
        small[..., 0 if kind == "blue" else 2] += 100
        place = folder / split / kind
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{i:05}.jpg"), cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC))


def step(arch: str, side: int) -> None:
    """Two training steps on one batch."""
    import keras

    from edgecnn.train.architectures import build_network

    model = build_network(arch, (side, side, 3), 2)
    model.compile(keras.optimizers.AdamW(), keras.losses.CategoricalCrossentropy(from_logits=True))
    pictures, labels = np.zeros((2 * BATCH, side, side, 3), np.float32), np.eye(2, dtype=np.float32)
    model.fit(pictures, np.tile(labels, (BATCH, 1)), batch_size=BATCH, verbose=0)


def peak(command: list[str]) -> float:
    """Peak resident memory of a process in MB: the largest of all children so far, so measure small ones first."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--arch", default="mobilenetv2_035")
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--step", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step(options.arch, options.input_size)
        return
    size = ["--input-size", str(options.input_size), "--arch", options.arch]
    with tempfile.TemporaryDirectory() as place:
        make_photos(Path(place) / "photos", options.photos)
        alone = peak([sys.executable, __file__, "--step", *size])
        train = [sys.executable, "-m", "edgecnn", "train", f"{place}/photos", "-o", f"{place}/model.keras"]
        whole = peak([*train, *size, "--epochs", "1", "--batch-size", str(BATCH)])
    print(
        f"{options.photos:,} photos at {options.input_size}x{options.input_size}: peak {whole:,.0f} MB, "
        f"a step alone {alone:,.0f} MB, beyond it {whole - alone:,.0f} MB"
    )


if __name__ == "__main__":
    main()
