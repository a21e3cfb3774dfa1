"""Equalization: the same function, with channels that share a range."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.bundle.tflite import with_signature
from edgecnn.bundle.weights import weighted_layers, with_layers
from edgecnn.compress.equalize import equalize
from edgecnn.compress.quantize import PLAIN, Calibration, probabilities
from edgecnn.runtime.interpreter import Engine
from tests.compress.rescaled import rescaled
from tests.models import Builder


def two_layers(activation: int, *, between: str = "", weights: NDArray[np.float32] | None = None) -> bytes:
    """dense → (an operation) → dense, with signature; activation is the schema's number of the first one's."""
    model, random = Builder(names=True), np.random.default_rng(3)
    picture = model.tensor("image", (1, 1, 1, 3))
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = activation
    last = model.tensor("one", (1, 3))
    w = random.normal(size=(3, 3)).astype(np.float32) if weights is None else weights
    constants = [
        model.tensor("w1", (3, 3), data=w.tobytes()),
        model.tensor("b1", (3,), data=np.zeros(3, np.float32).tobytes()),
    ]
    model.operator("FULLY_CONNECTED", [picture, *constants], last, options)
    if between:
        behind = model.tensor(between.lower(), (1, 3))
        model.operator(between, [last], behind)
        last = behind
    output = model.tensor("two", (1, 3))
    constants = [
        model.tensor("w2", (3, 3), data=random.normal(size=(3, 3)).astype(np.float32).tobytes()),
        model.tensor("b2", (3,), data=np.zeros(3, np.float32).tobytes()),
    ]
    model.operator("FULLY_CONNECTED", [last, *constants], output, schema.FullyConnectedOptionsT())
    return with_signature(model.pack([picture], [output]))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), decades=st.floats(0, 3))
def test_any_scaling_leaves_the_function_alone(
    seed: int, decades: float, network: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    result = equalize(rescaled(network, seed, decades), pictures)
    assert result.pairs == (("first", "second"), ("second", "dense"))
    for picture in pictures[:5]:
        assert np.allclose(Engine(result.content).run(picture), Engine(network).run(picture), atol=1e-4)


def test_a_network_that_int8_breaks_is_mended(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    inputs = np.stack(pictures)
    reference = probabilities(network, "softmax", inputs)

    def error(content: bytes) -> float:
        built = Calibration(content, "softmax", pictures, (0.0, 255.0)).build(PLAIN, "int8")
        return float(np.abs(probabilities(built, "softmax", inputs) - reference).max())

    broken = rescaled(network, 0, 1.5)
    assert error(broken) > 0.2
    assert error(equalize(broken, pictures).content) < 0.1


def test_channels_share_a_range_in_front_of_a_depthwise_layer(
    network: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    content = equalize(rescaled(network, 1, 2.0), pictures[:60]).content
    engine = Engine(content, keep_tensors=True)
    peaks = np.zeros(8)
    for picture in pictures[:60]:
        engine.run(picture)
        peaks = np.maximum(peaks, engine.tensor(weighted_layers(content)[0].output).max(axis=(0, 1, 2)))
    seen = peaks[peaks > 0]
    assert seen.max() / seen.min() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    ("activation", "between", "reason"),
    [(3, "", "RELU6 is not homogeneous"), (0, "HARD_SWISH", "HARD_SWISH (hard_swish) lies behind it")],
)
def test_what_is_not_homogeneous_is_skipped_with_the_reason(activation: int, between: str, reason: str) -> None:
    content = two_layers(activation, between=between)
    result = equalize(content, [np.ones((1, 1, 3), np.float32)])
    assert result.content == content
    assert result.pairs == ()
    assert result.skipped == (("one", reason), ("two", "it makes the output"))


def test_weights_of_a_silent_channel_do_not_outgrow_their_row() -> None:
    weights = np.array([[1, 0, 0], [0, 1, 0], [-1, -1, -1]], np.float32)  # channel 2 is never positive
    content = two_layers(1, weights=weights)
    first, second = weighted_layers(content)
    values = [(None, None), ((second.weights * [1, 1, 1e6]).astype(np.float32), None)]
    result = equalize(with_layers(content, values), [np.full((1, 1, 3), value, np.float32) for value in (1, 2)])
    columns = np.abs(weighted_layers(result.content)[1].weights).max(axis=0)
    assert columns[2] <= 10 * columns[:2].max()
    assert first.output == second.input
