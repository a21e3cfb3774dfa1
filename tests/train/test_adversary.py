"""Adversarial training: what it learns from, that it resists, and that it goes on as if it had not been interrupted."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.config import Preprocess
from edgecnn.data.dataset import open_dataset
from edgecnn.errors import EdgecnnError
from edgecnn.keras_io.perturb import loss_gradient, random_start
from edgecnn.robust.attacks import Surrogate
from edgecnn.train.adversary import attacked, robust_accuracy
from edgecnn.train.options import TrainConfig
from edgecnn.train.result import TrainResult
from edgecnn.train.trainer import train_model
from tests.train.conftest import Silent

PREPROCESS = Preprocess(2, 1, mean=(127.5,), std=(127.5,))
EPSILON = 16 / 255


def linear() -> Any:
    """Logits 0 and w x for a picture of two gray pixels; shown as three equal channels."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((1, 2, 3))
    model = keras.Model(image, keras.layers.Dense(2, name="scores")(keras.layers.Flatten()(image)))
    kernel = np.array([[0.0, 1.0]] * 3 + [[0.0, -1.0]] * 3)
    model.get_layer("scores").set_weights([kernel, np.zeros(2)])
    return model


@pytest.mark.parametrize("steps", [1, 3])
def test_a_linear_model_learns_from_the_worst_picture(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pixel moves against its weight: in one step by 1.25 epsilon from its start, in three to the end."""
    import keras

    learned: list[Any] = []

    def step(self: Any, data: Any) -> Any:
        learned.append(np.asarray(data[0]))
        return {}

    monkeypatch.setattr(keras.Model, "train_step", step)
    model = attacked(linear(), PREPROCESS, epsilon=EPSILON, steps=steps, seed=0)
    model.compile(keras.optimizers.SGD(0.0), keras.losses.CategoricalCrossentropy(from_logits=True))
    picture = np.array([[[[0.5] * 3, [-1.0] * 3]]], np.float32)
    model.train_step((picture, np.array([[0.0, 1.0]], np.float32), None))
    reach = 255 * EPSILON / 127.5
    low, high = np.maximum(picture - reach, -1), picture + reach
    start = np.clip(picture + np.asarray(random_start(picture, np.float32(reach), 0, 0)), low, high)
    against = np.array([[[[-1.0] * 3, [1.0] * 3]]])
    one = np.clip(start + 1.25 * reach * against, low, high)
    end = np.array([[[[0.5 - reach] * 3, [-1.0 + reach] * 3]]])
    (moved,) = learned
    np.testing.assert_allclose(moved, one if steps == 1 else end, atol=1e-6)


def test_random_starts_are_even_and_belong_to_their_step() -> None:
    pictures = np.zeros((40, 5, 5, 3), np.float32)
    reach = np.array([0.1, 0.2, 0.4], np.float32)
    first, again, next_ = (np.asarray(random_start(pictures, reach, 3, step)) for step in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, next_)
    np.testing.assert_allclose(np.abs(first).max(axis=(0, 1, 2)), reach, rtol=0.02)
    np.testing.assert_allclose(first.std(axis=(0, 1, 2)), reach / np.sqrt(3), rtol=0.1)


def test_robust_accuracy_of_a_linear_model() -> None:
    """It falls where a picture is closer to the border than the attack reaches, and nowhere else."""
    import keras

    model = linear()
    surrogate = Surrogate(loss_gradient(model), PREPROCESS, ("a", "b"), "linear")
    near, far = [[[150] * 3, [140] * 3]], [[[250] * 3, [100] * 3]]
    pixels = np.array([near, far, far], np.uint8)

    def forward(pictures: Any) -> Any:
        return keras.ops.convert_to_numpy(model(pictures))

    result = robust_accuracy(surrogate, forward, pixels, np.array([1, 1, 0]), epsilon=EPSILON, seed=0)
    assert result.clean == pytest.approx(2 / 3)
    assert result.top1 == pytest.approx(1 / 3)
    assert (result.samples, result.steps) == (3, 10)


def train(colors: Path, output: Path, observer: Silent | None = None, **options: Any) -> TrainResult:
    config = TrainConfig(arch="lenet5", epochs=3, batch_size=16, learning_rate=0.004, **options)
    with open_dataset(colors) as dataset:
        return train_model(dataset, output, config, observer=observer or Silent())


def test_a_training_with_an_attack_tells_what_it_resists(colors: Path, tmp_path: Path) -> None:
    assert train(colors, tmp_path / "plain.keras").robust is None
    result = train(colors, tmp_path / "hard.keras", attack="fgsm", epsilon=2 / 255)
    robust = result.robust
    assert robust is not None
    assert robust.samples == 24
    assert robust.clean == pytest.approx(result.evaluation.top1)
    assert 0 < robust.top1 <= robust.clean
    assert result.to_dict()["robust"] == asdict(robust)


def test_it_goes_on_after_a_stop_as_if_there_had_been_none(colors: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"attack": "pgd", "attack_steps": 2}
    whole = train(colors, tmp_path / "whole.keras", **options)
    with pytest.raises(KeyboardInterrupt):
        train(colors, tmp_path / "part.keras", Silent(stop_after=1), **options)
    rest = train(colors, tmp_path / "part.keras", resume=True, **options)
    assert [record.loss for record in rest.history] == [record.loss for record in whole.history]
    assert rest.robust == whole.robust


def test_a_teacher_and_an_attack_do_not_go_together() -> None:
    with pytest.raises(EdgecnnError, match="leave out the teacher or the attack"):
        TrainConfig(teacher="t.keras", attack="pgd")
    with pytest.raises(EdgecnnError, match="epsilon"):
        TrainConfig(attack="pgd", epsilon=0.0)
