"""The pointing game on a released int8 model: one photo of a class among three of the other, in four quarters."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.data.dataset import open_dataset
from edgecnn.explain.crew import Crew
from edgecnn.explain.maps import Map, pointing
from edgecnn.explain.occlusion import occlusion
from edgecnn.explain.rise import rise
from edgecnn.runtime.classifier import Classifier

MODEL = Path(__file__).parents[2] / "models/cats-dogs-mobilenetv2/cats-dogs-mobilenetv2-int8.tflite"
ROUNDS = 8  # of which a quarter is right by chance, 6 or more once in 240 times


@pytest.mark.slow
@pytest.mark.parametrize(
    "explain",
    [
        pytest.param(lambda crew, frame, index: rise(crew, frame, index=index, masks=150), id="rise"),
        pytest.param(lambda crew, frame, index: occlusion(crew, frame, index=index), id="occlusion"),
    ],
)
def test_it_points_at_the_photo_of_its_class(explain: Callable[..., Map], shared_data: Path) -> None:
    if not MODEL.is_file():
        pytest.skip("no models/ in this checkout")
    crew, random, hits = Crew(Classifier(MODEL)), np.random.default_rng(0), 0
    side = crew.classifier.preprocess.width // 2
    with open_dataset(str(shared_data / "cats_dogs.tar.gz")) as dataset:
        photos = [[sample for sample in dataset.split("val") if sample.label == label] for label in (0, 1)]
        for turn in range(ROUNDS):
            index, place = turn % 2, int(random.integers(4))
            chosen = photos[1 - index][3 * turn : 3 * turn + 3]
            chosen.insert(place, photos[index][turn])
            tiles = [cv2.resize(dataset.read(s), (side, side), interpolation=cv2.INTER_AREA) for s in chosen]
            frame = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
            found = explain(crew, np.asarray(frame, np.uint8), index)
            hits += pointing(found.values, (side * (place % 2), side * (place // 2), side, side))
    assert hits >= 6
