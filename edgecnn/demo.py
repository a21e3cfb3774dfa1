"""The whole story offline: train a small network on handwritten digits, convert it, classify a clip, report."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.camera.camera import Camera
from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.pipeline import convert_model
from edgecnn.convert.proof import prove
from edgecnn.data.dataset import Dataset, Sample, balanced, open_dataset
from edgecnn.data.images import read_image
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import DataError, MissingExtraError
from edgecnn.measure.examples import thumbnail
from edgecnn.runtime.classifier import Classifier, Prediction
from edgecnn.spec import parse_spec
from edgecnn.train.loop import Observer

PREPROCESS = Preprocess(width=16, height=16, color="gray", mean=(0.0,), std=(255.0,), fit="center-crop")
_CLIP_SIZE = (320, 240)  # width, height in pixels
_FRAMES_PER_DIGIT = 6


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made.

    Attributes:
        bundle: the sealed int8 `.tflite`; keras: the model it was made from; clip: the video that was classified.
        picture: one test picture; prediction: what the bundle says of it; truth: what it is.
        records: results for the report, the `convert` record first.
        clip_accuracy: share of the clip's frames with the right label.
    """

    bundle: Path
    keras: Path
    clip: Path
    picture: Path
    prediction: Prediction
    truth: str
    records: tuple[dict[str, Any], ...]
    clip_accuracy: float


def run_demo(folder: str | os.PathLike[str], *, observer: Observer, epochs: int = 12, seed: int = 0) -> DemoResult:
    """Train, convert, classify and measure; everything is written into `folder`.

    Raises:
        MissingExtraError: Keras, scikit-learn or ai-edge-quantizer is not installed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    keras, bundle, clip, picture = (
        folder / name for name in ("digits.keras", "digits.tflite", "digits.avi", "digit.png")
    )
    with open_dataset("digits", seed=seed) as dataset:
        observer.step("train a small network on digits")
        _train(dataset, keras, observer, epochs=epochs, seed=seed)
        config = ConvertConfig(preprocess=parse_spec(PREPROCESS.spec), seed=seed)
        result = convert_model(keras, bundle, dataset, config, observer=observer)
        observer.step("measure latency")
        record = prove(result, dataset)
        observer.step("classify a clip")
        shown = balanced(dataset.split("test"), 10, seed=seed)
        _write_clip(clip, [dataset.read(sample) for sample in shown], seed)
        scene = _scene(dataset.read(shown[-1]), np.random.default_rng(seed))
        cv2.imwrite(os.fspath(picture), scene)
        truths = [dataset.classes[sample.label or 0] for sample in shown]
    classifier = Classifier(bundle)
    with Camera(classifier, clip, every_frame=True, smooth=1, threshold=0.0, margin=0.0) as camera:
        frames = [
            {
                "frame": seen.frame.number,
                "label": seen.label,
                "score": seen.score,
                "truth": truths[seen.frame.number // _FRAMES_PER_DIGIT],
                "picture": seen.frame.pixels.copy(),
            }
            for seen in camera
        ]
    right = float(np.mean([item["label"] == item["truth"] for item in frames]))
    prediction = classifier.classify(read_image(picture), top_k=1)[0]
    return DemoResult(
        bundle, keras, clip, picture, prediction, truths[-1], (record, _clip_record(clip, frames, right)), right
    )


def _train(dataset: Dataset, path: Path, observer: Observer, *, epochs: int, seed: int) -> None:
    try:
        import keras
    except ImportError as exc:
        raise MissingExtraError("Keras", "train") from exc
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((PREPROCESS.height, PREPROCESS.width, PREPROCESS.channels)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(len(dataset.classes), activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: observer.progress(epoch + 1, epochs))
    pictures, labels = _tensors(dataset, dataset.split("train"))
    model.fit(pictures, labels, batch_size=32, epochs=epochs, verbose=0, callbacks=[progress])
    model.save(path)


def _tensors(dataset: Dataset, samples: tuple[Sample, ...]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    prepare = Preprocessor(PREPROCESS)
    return (
        np.stack([prepare(dataset.read(sample)) for sample in samples]),
        np.array([sample.label for sample in samples], np.int64),
    )


def _scene(digit: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """A camera-sized picture with the digit in its middle, a little camera noise and changing light."""
    width, height = _CLIP_SIZE
    large = cv2.resize(digit, (height, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    picture = np.zeros((height, width, 3), np.float32)
    left = (width - height) // 2
    picture[:, left : left + height] = large * random.uniform(0.75, 1.0)
    picture += random.normal(0, 6, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _write_clip(path: Path, digits: Sequence[NDArray[np.uint8]], seed: int) -> None:
    random = np.random.default_rng(seed)
    video = cv2.VideoWriter(os.fspath(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, _CLIP_SIZE)
    if not video.isOpened():
        raise DataError(f"cannot write the clip {path}")
    for digit in digits:
        for _ in range(_FRAMES_PER_DIGIT):
            video.write(_scene(digit, random))
    video.release()


def _clip_record(clip: Path, frames: list[dict[str, Any]], right: float) -> dict[str, Any]:
    shown = [
        {key: value for key, value in item.items() if key != "picture"} | {"thumbnail": thumbnail(item["picture"])}
        for item in frames[_FRAMES_PER_DIGIT // 2 :: _FRAMES_PER_DIGIT]
    ]
    return {
        "schema": "edgecnn.demo/1",
        "clip": clip.name,
        "frames": shown,
        "summary": f"{right:.0%} of {len(frames)} frames have the right label; every {_FRAMES_PER_DIGIT}th is shown",
    }
