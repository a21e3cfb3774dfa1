"""A picture to corrupt: smooth regions, edges, fine grain and colour, as a photograph has."""

import cv2
import numpy as np
from numpy.typing import NDArray


def textured(height: int, width: int, *, gray: bool = False, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (height, width, 3) in BGR; all levels from 0 to 255 occur in a large one."""
    random = np.random.default_rng([height, width, seed])
    total = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 90), (8, 60), (24, 25)):
        small = random.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
        total += weight * np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
    for _ in range(6):
        x, y = int(random.integers(width)), int(random.integers(height))
        color = random.uniform(-110, 110, 3).tolist()
        cv2.circle(total, (x, y), max(min(height, width) // 6, 1), color, -1)
    total += random.normal(0, 6, total.shape) + 128
    picture = np.asarray(np.clip(total, 0, 255), np.uint8)
    return np.repeat(picture[..., :1], 3, axis=2) if gray else picture
