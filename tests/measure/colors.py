"""Pictures of one colour each, and models that name the nearest colour: what is right is known for certain."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from tests.models import linear

# RGB, far enough from each other that a wrong normalization or colour order mistakes some of them.
COLORS = {
    "black": (25, 20, 15),
    "blue": (50, 60, 210),
    "cyan": (60, 170, 190),
    "gray": (120, 110, 130),
    "green": (40, 190, 60),
    "orange": (235, 140, 50),
    "purple": (170, 60, 180),
    "red": (200, 30, 40),
    "white": (230, 225, 235),
    "yellow": (215, 205, 60),
}
NAMES = tuple(COLORS)


class ColorPictures:
    """A data set in memory, balanced over classes, that keeps the names of what was read.

    Args:
        classes: names of COLORS, in the data set's order.
        train, val, test: pictures a class.
        broken: names of pictures that cannot be read.
        gray: whether the pictures show only the mean of the colour's channels.
        shuffled: whether labels are drawn by lot.
        size: (height, width) of the pictures.

    Attributes:
        dataset: the data set.
        names_read: of every picture that was asked for, in order.
    """

    def __init__(
        self,
        classes: Sequence[str] = NAMES,
        *,
        train: int = 0,
        val: int = 0,
        test: int = 0,
        broken: Collection[str] = (),
        gray: bool = False,
        shuffled: bool = False,
        size: tuple[int, int] = (5, 6),
    ) -> None:
        self.names_read: list[str] = []
        self._broken, self._gray, self._size = broken, gray, size
        rng = np.random.default_rng(3)
        splits = {}
        for split, count in (("train", train), ("val", val), ("test", test)):
            samples = [Sample(f"{split}/{name}/{i:03d}", k) for k, name in enumerate(classes) for i in range(count)]
            if shuffled:
                labels = rng.permutation([sample.label or 0 for sample in samples])
                samples = [Sample(sample.name, int(k)) for sample, k in zip(samples, labels, strict=True)]
            splits[split] = tuple(samples)
        self.dataset = Dataset("colours", classes, splits, self._read)

    def _read(self, name: str) -> NDArray[np.uint8]:
        self.names_read.append(name)
        if name in self._broken:
            raise DataError("broken on purpose")
        return self.picture(name)

    def picture(self, name: str) -> NDArray[np.uint8]:
        """What a sample shows, BGR."""
        split, color, number = name.split("/")
        noise = np.random.default_rng([*split.encode(), NAMES.index(color), int(number)]).normal(0, 10, 3)
        rgb = np.clip(np.round(COLORS[color] + noise), 0, 255)
        bgr = np.full(3, rgb.mean()) if self._gray else rgb[::-1]
        return np.full((*self._size, 3), bgr).astype(np.uint8)


def nearest_color(
    preprocess: Preprocess, *, classes: Sequence[str] = NAMES, head: str = "softmax", dynamic: bool = False
) -> bytes:
    """A float model that is right under one preprocessing: its scores fall with the distance to each colour.

    |x - c|² is x² - 2cx + c², and x² is the same for every class: so a linear layer does.

    Args:
        dynamic: whether it takes pictures of any size, instead of preprocess's.
    """
    rgb = np.array([COLORS[name] for name in classes], float)
    seen = rgb.mean(axis=1, keepdims=True) if preprocess.color == "gray" else rgb
    centers = ((seen[:, ::-1] if preprocess.color == "bgr" else seen) - preprocess.mean) / preprocess.std
    gain = 10 / np.mean(np.var(centers, axis=0))
    size = None if dynamic else (preprocess.width, preprocess.height)
    bias = -gain * (centers**2).sum(axis=1)
    return linear(2 * gain * centers, bias, size=size, channels=preprocess.channels, head=head)
