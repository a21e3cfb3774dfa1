"""The damage of single layers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.bundle.layers import layer_names
from edgecnn.bundle.weights import biases_of, weighted_layers, with_layers
from edgecnn.compress.sensitivity import sensitivity, sqnr_db
from edgecnn.errors import ConversionError

RANGE = (0.0, 255.0)


def test_every_layer_is_measured_alone(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    steps: list[tuple[int, int]] = []
    found = sensitivity(
        network, head="softmax", tensors=pictures, input_range=RANGE, progress=lambda *step: steps.append(step)
    )
    assert sorted(damage.layer for damage in found) == sorted(layer_names(network))
    assert [damage.divergence for damage in found] == sorted((damage.divergence for damage in found), reverse=True)
    assert steps == [(done, 5) for done in range(1, 6)]
    for damage in found:
        assert 0.9 <= damage.agreement <= 1
        assert 20 < damage.layer_sqnr_db < 70  # eight bits; 150 would mean that nothing was quantized
        assert 20 < damage.output_sqnr_db < 150
        assert (damage.top1_drop, damage.reason) == (None, "")
    assert found == sensitivity(network, head="softmax", tensors=pictures, input_range=RANGE)
    assert set(found[0].to_dict()) >= {"layer", "agreement", "output_sqnr_db", "layer_sqnr_db", "top1_drop"}


def test_the_layer_that_was_made_bad_comes_first(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    """One channel of `second` is a thousand times larger than the others, and the dense layer takes it back."""
    scale = np.array([1000, *[1] * 7], np.float32)
    (conv, deep, dense), biases = weighted_layers(network), biases_of(network)
    values = [(conv.weights, biases[0]), (deep.weights * scale, biases[1] * scale), (dense.weights / scale, biases[2])]
    found = sensitivity(with_layers(network, values), head="softmax", tensors=pictures, input_range=RANGE)
    assert found[0].layer in ("second", "pooled")
    assert found[0].divergence > 100 * found[-1].divergence


def test_labels_give_the_loss_of_accuracy(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    labels = np.zeros(20, np.int64)
    found = sensitivity(
        network, head="softmax", tensors=pictures, input_range=RANGE, evaluate=pictures[:20], labels=labels
    )
    for damage in found:
        assert damage.top1_drop is not None
        assert abs(damage.top1_drop) <= 100 * (1 - damage.agreement) + 1e-9


def test_calibration_pictures_are_needed(network: bytes) -> None:
    with pytest.raises(ConversionError, match="sensitivity needs calibration pictures"):
        sensitivity(network, head="softmax", tensors=[])


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1.0))
def test_sqnr_is_in_decibels(size: float, share: float) -> None:
    signal = [np.full(4, size, np.float32)]
    noisy = [(signal[0] * (1 + share)).astype(np.float32)]
    assert sqnr_db(signal, noisy) == pytest.approx(-20 * np.log10(share), abs=0.01)
    assert sqnr_db(signal, signal) == 150
