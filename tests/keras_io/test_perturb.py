"""The gradient of the loss against finite differences and a closed form; steps against the best that there is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgecnn.keras_io.perturb import loss_gradient, pgd

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

SHAPE = (5, 4, 2)


def network(units: int = 3) -> Any:
    keras.utils.set_random_seed(4)
    image = keras.Input(SHAPE)
    x = keras.layers.Conv2D(6, 3, padding="same", activation="tanh")(image)
    return keras.Model(image, keras.layers.Dense(units)(keras.layers.Flatten()(x)))


def losses(model: Any, pictures: NDArray[np.float32], targets: NDArray[np.int32]) -> NDArray[np.float64]:
    """Cross-entropy by its definition, in float64."""
    logits = np.asarray(model(pictures, training=False), np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.asarray(-np.log(probabilities[np.arange(len(targets)), targets]))


@pytest.mark.parametrize("units", [1, 3])
def test_the_gradient_is_that_of_finite_differences(units: int) -> None:
    model, step = network(units), 1e-2
    pictures = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    targets = np.array([1, 0], np.int32)
    gradient = np.asarray(loss_gradient(model)(pictures, targets))
    for place in [(0, 0, 0, 0), (0, 4, 3, 1), (1, 2, 1, 0), (1, 0, 3, 1)]:
        there, back = pictures.copy(), pictures.copy()
        there[place] += step
        back[place] -= step
        slope = (losses(model, there, targets) - losses(model, back, targets))[place[0]] / (2 * step)
        assert gradient[place] == pytest.approx(slope, rel=2e-2, abs=2e-4)


def test_a_network_that_is_sure_still_has_a_gradient() -> None:
    """Behind a softmax of float32 the loss of a picture with a margin of 60 is 0, and so is its gradient."""
    image = keras.Input((1, 1, 1))
    model = keras.Model(image, keras.layers.Dense(2, use_bias=False)(keras.layers.Flatten()(image)))
    model.set_weights([np.array([[30.0, -30.0]], np.float32)])
    gradient = np.asarray(loss_gradient(model)(np.ones((1, 1, 1, 1), np.float32), np.array([0], np.int32)))
    assert gradient.item() < 0
    shares = np.exp(np.array([0, -60], np.float32))
    assert shares[0] / shares.sum() == 1


@settings(max_examples=60)
@given(
    pictures=arrays(np.float32, (2, 3, 2, 1), elements=st.floats(-1, 1, width=16)),
    slope=arrays(np.float32, (1, 3, 2, 1), elements=st.floats(-8, 8, width=16)),
    start=arrays(np.float32, (2, 3, 2, 1), elements=st.floats(-2, 2, width=16)),
    epsilon=st.floats(0.015625, 2, width=16),
    steps=st.integers(0, 4),
)
def test_it_stays_in_the_ball_and_among_valid_pictures(
    pictures: NDArray[np.float32], slope: NDArray[np.float32], start: NDArray[np.float32], epsilon: float, steps: int
) -> None:
    moved = pgd(
        lambda x, _: np.broadcast_to(slope, x.shape),
        pictures,
        None,
        epsilon=epsilon,
        step=epsilon / 2,
        steps=steps,
        low=-1.0,
        high=1.0,
        start=start,
    )
    found = np.asarray(moved)
    assert np.abs(found - pictures).max() <= epsilon * (1 + 1e-6) + 1e-6
    assert np.abs(found).max() <= 1.0


def test_on_a_linear_model_it_reaches_the_best_there_is() -> None:
    """Of all x within epsilon, w·x is largest at x + epsilon sign(w): one step of FGSM, many of PGD."""
    random = np.random.default_rng(1)
    weights = random.normal(size=(1, 3, 3, 2)).astype(np.float32)
    pictures = random.uniform(0.3, 0.7, (4, 3, 3, 2)).astype(np.float32)
    epsilon = np.array([0.1, 0.2], np.float32)  # one a channel, as where channels are scaled differently
    best = pictures + epsilon * np.sign(weights)

    def gradient(x: Any, _: Any) -> NDArray[np.float32]:
        return np.broadcast_to(weights, x.shape)

    bounds = {"epsilon": epsilon, "low": 0.0, "high": 1.0}
    np.testing.assert_allclose(pgd(gradient, pictures, None, step=epsilon, steps=1, **bounds), best, rtol=1e-6)
    start = random.uniform(-1, 1, pictures.shape).astype(np.float32) * epsilon
    moved = pgd(gradient, pictures, None, step=epsilon / 4, steps=10, start=start, **bounds)
    np.testing.assert_allclose(moved, best, rtol=1e-6)


def test_more_steps_make_the_loss_larger() -> None:
    model = network()
    random = np.random.default_rng(2)
    pictures = random.uniform(-1, 1, (32, *SHAPE)).astype(np.float32)
    targets = random.integers(0, 3, 32).astype(np.int32)
    found = [losses(model, pictures, targets).mean()]
    for steps in (1, 4, 16):
        step = 0.4 if steps == 1 else 2.5 * 0.4 / steps
        moved = pgd(loss_gradient(model), pictures, targets, epsilon=0.4, step=step, steps=steps, low=-1.0, high=1.0)
        found.append(losses(model, np.asarray(moved), targets).mean())
    assert found == sorted(found)
    assert found[1] > found[0] + 0.1, "the first step counts"
