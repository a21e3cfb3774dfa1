"""Two hosts, or two devices of one, train to the same weights as one device with the same batches. Real processes."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROWS, BATCH, CLASSES, EPOCHS = 200, 32, 3, 2
BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"needs {name}"))
    for name in ("tensorflow", "jax")
]
pytestmark = pytest.mark.slow


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()


def train(backend: str, outputs: Sequence[Path], *, devices: int = 1) -> list[dict[str, Any]]:
    """Train once in as many processes as outputs; what each of them reports, with its arrays."""
    hosts = ",".join(f"localhost:{port}" for port in free_ports(len(outputs)))
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"} | {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    running = [
        subprocess.Popen(
            [sys.executable, __file__, hosts, str(index), str(devices), str(output)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for index, output in enumerate(outputs)
    ]  # fmt: skip
    try:
        reports = []
        for process, output in zip(running, outputs, strict=True):
            out, err = process.communicate(timeout=240)
            assert process.returncode == 0, err[-3000:]
            reports.append(json.loads(out.splitlines()[-1]) | {"arrays": list(np.load(output).values())})
        return reports
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_hosts_and_two_devices_train_as_one(backend: str, tmp_path: Path) -> None:
    (alone,) = train(backend, [tmp_path / "alone.npz"])
    chief, second = train(backend, [tmp_path / "chief.npz", tmp_path / "second.npz"])
    (local,) = train(backend, [tmp_path / "local.npz"], devices=2)

    assert (alone["workers"], alone["replicas"]) == (1, 1)
    assert (local["workers"], local["replicas"], local["describe"][-6:]) == (1, 2, "2 CPUs")
    assert [item["is_chief"] for item in (alone, local, chief, second)] == [True, True, True, False]
    assert {(item["workers"], item["replicas"]) for item in (chief, second)} == {(2, 2)}
    assert alone["history"][-1]["loss"] < alone["history"][0]["loss"]
    for item in (local, chief, second):
        for mine, expected in zip(item["arrays"], alone["arrays"], strict=True):
            np.testing.assert_allclose(mine, expected, atol=1e-4)
        for epoch, expected in zip(item["history"], alone["history"], strict=True):
            assert epoch == pytest.approx(expected, abs=1e-4)
        assert item["synchronized"] is False
        assert item["seen"] == EPOCHS * (ROWS // BATCH)
    # Decisions are taken from these: not a bit may differ.
    assert chief["history"] == second["history"]
    assert all(np.array_equal(a, b) for a, b in zip(chief["arrays"], second["arrays"], strict=True))
    assert chief["gathered"] == second["gathered"] == [[0, 1], [2, 3], [10, 11], [12, 13]]


def worker(hosts: str, index: int, devices: int, output: str) -> None:
    """One host: train a small network on random pictures, write weights and outputs, report the rest as JSON."""
    import keras

    from edgecnn.train.cluster import read_cluster
    from edgecnn.train.devices import start

    if devices > 1 and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    ours = start(read_cluster(hosts, index, {}))
    random = np.random.default_rng(0)
    classes = random.integers(0, CLASSES, ROWS)
    pictures = (random.normal(size=(ROWS, 8, 8, 3)) + classes[:, None, None, None]).astype(np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[classes]
    keras.utils.set_random_seed(3)
    with ours.scope():
        layers = keras.layers
        # A bias before the normalization has no gradient but noise, which Adam makes as large as any.
        convolution, normalization = layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()
        network = [convolution, normalization, layers.ReLU(), layers.GlobalAveragePooling2D()]
        model = keras.Sequential([layers.Input((8, 8, 3)), *network, layers.Dense(CLASSES)])
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.AdamW(1e-2, weight_decay=1e-2)
        model.compile(optimizer, loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
        optimizer.build(model.trainable_variables)

    class Shares(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        def __init__(self, epoch: int) -> None:
            super().__init__(workers=2)
            self.order = np.random.default_rng(epoch).permutation(ROWS)

        def __len__(self) -> int:
            return ROWS // BATCH

        def __getitem__(self, number: int) -> tuple[Any, ...]:
            rows = self.order[number * BATCH : (number + 1) * BATCH][ours.share(BATCH)]
            return pictures[rows], labels[rows], np.linspace(0.5, 1.5, ROWS, dtype=np.float32)[rows]

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        seen = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen += float(logs["loss"]) > 0

    epoch, forward, watch = ours.trainer(model), ours.forward(model), Watch()
    history = [epoch(Shares(number), [watch]) for number in range(EPOCHS)]
    outputs = np.concatenate([forward(pictures[first : first + 33]) for first in range(0, ROWS, 33)])
    np.savez(output, *model.get_weights(), outputs)
    report = {
        "history": history,
        "gathered": ours.gather(np.arange(4).reshape(2, 2) + 10 * index).tolist(),
        "synchronized": normalization.synchronized,
        "seen": watch.seen,
        "describe": ours.describe(),
        "workers": ours.workers,
        "replicas": ours.replicas,
        "is_chief": ours.is_chief,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    worker(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
