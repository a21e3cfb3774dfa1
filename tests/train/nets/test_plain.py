"""How the plain networks adapt to the size of pictures."""

from typing import Any

import pytest

from edgecnn.train.architectures import build_network


def sizes(model: Any, kind: str) -> list[tuple[int, ...]]:
    """Heights and widths behind every layer of a kind."""
    return [layer.output.shape[1:3] for layer in model.layers if type(layer).__name__ == kind]


@pytest.mark.parametrize("side", [28, 32])
def test_lenet5_makes_the_paper_s_maps(side: int) -> None:
    model = build_network("lenet5", (side, side, 1), 10)
    assert sizes(model, "Conv2D") == [(28, 28), (10, 10)]
    assert sizes(model, "MaxPooling2D") == [(14, 14), (5, 5)]


def test_alexnet_has_the_paper_s_layers_for_large_pictures() -> None:
    model = build_network("alexnet", (128, 128, 3), 1)
    assert sizes(model, "MaxPooling2D") == [(15, 15), (7, 7), (3, 3)]
    statistics = 4 * (96 + 256)  # two batch normalizations, in place of what had no parameters
    smaller = (6 * 6 - 3 * 3) * 256 * 4096  # 224 pixels would leave a last map of 6x6
    assert model.count_params() + 999 * 4097 == 62_378_344 + statistics - smaller


def test_alexnet_keeps_small_pictures_from_vanishing() -> None:
    model = build_network("alexnet", (32, 32, 3), 10)
    assert sizes(model, "Conv2D")[0] == (32, 32)
    assert sizes(model, "MaxPooling2D") == [(15, 15), (7, 7), (3, 3)]
    assert [layer.units for layer in model.layers if type(layer).__name__ == "Dense"] == [1024, 1024, 10]


def test_vgg_halves_its_map_as_long_as_it_can() -> None:
    model = build_network("vgg", (32, 32, 3), 10)
    assert sizes(model, "MaxPooling2D") == [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]
    biases = 2752  # of convolutions: useless before a normalization
    trained = sum(layer.count_params() for layer in model.layers) - sum(v.shape[0] for v in model.non_trainable_weights)
    assert trained == 9_231_114 - biases
    assert sizes(build_network("vgg", (12, 9, 3), 10), "MaxPooling2D") == [(6, 4), (3, 2), (1, 1)]
