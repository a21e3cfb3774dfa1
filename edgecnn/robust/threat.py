"""What attacks a model: which methods, how strong, and the adversarial pictures that they make of given ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import DataError
from edgecnn.robust.attacks import Surrogate, fgsm, pgd_attack
from edgecnn.robust.patch import noise_patch, paste, train_patch

ATTACKS: Final = ("fgsm", "pgd", "patch")

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Threat:
    """What attacks a model.

    Attributes:
        surrogate: the float network that all is crafted on.
        attacks: of ATTACKS.
        epsilon: largest change of a pixel by "fgsm" and "pgd", as a share of its 255 levels.
        steps: of "pgd".
        share: of a picture that the patch covers.
        aim: label that pictures with the patch are to be given; None to lead away from the true one.

    Raises:
        DataError: the network has no such label.
    """

    surrogate: Surrogate
    attacks: tuple[str, ...] = ATTACKS
    epsilon: float = 8 / 255
    steps: int = 10
    share: float = 0.1
    aim: str | None = None

    def __post_init__(self) -> None:
        labels = self.surrogate.labels
        if self.aim is not None and self.aim not in labels:
            known = ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")
            raise DataError(f"expected a label of {self.surrogate.name} ({known}) to aim at, got {self.aim!r}")

    @property
    def conditions(self) -> tuple[str, ...]:
        """What pictures are made for: the attacks, and "noise" to compare the patch with."""
        return (*self.attacks, "noise") if "patch" in self.attacks else self.attacks

    @property
    def aimed_at(self) -> int | None:
        """The output of `aim`."""
        return None if self.aim is None else self.surrogate.labels.index(self.aim)

    def train_patch(
        self, pixels: Picture, targets: NDArray[np.int64], seed: int, progress: Callable[[int, int], None] | None
    ) -> Picture:
        """The patch (side, side, channels), trained on pixels (n, height, width, channels) of known classes (n,)."""
        return train_patch(
            self.surrogate, pixels, targets, share=self.share, aim=self.aimed_at, seed=seed, progress=progress
        )

    def pictures(
        self,
        pixels: Picture,
        targets: NDArray[np.int64],
        names: Sequence[str],
        patch: Picture | None,
        random: Callable[[str, str], np.random.Generator],
    ) -> list[Picture]:
        """Adversarial pictures for each of `conditions`.

        Args:
            pixels: (n, height, width, channels) as `Surrogate.pixels` gives them.
            targets: (n,) true classes, as the surrogate numbers them.
            names: of the pictures.
            patch: trained on the surrogate, where there is to be one.
            random: the generator of a picture's name and a purpose.

        Returns:
            One (n, height, width, channels) a condition, in the surrogate's colour order.
        """
        found = []
        for condition in self.conditions:
            if condition == "fgsm":
                found.append(fgsm(self.surrogate, pixels, targets, epsilon=self.epsilon))
            elif condition == "pgd":
                own = [random(name, "pgd") for name in names]
                steps = self.steps
                found.append(pgd_attack(self.surrogate, pixels, targets, epsilon=self.epsilon, steps=steps, random=own))
            elif patch is not None:
                square = patch if condition == "patch" else noise_patch(len(patch), patch.shape[-1])
                found.append(paste(pixels, square, [random(name, "patch") for name in names]))
        return found
