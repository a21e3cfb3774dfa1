"""Which rows each host brings, and what is ready ahead; what the engines do with it: test_two_workers.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from edgecnn.errors import EdgecnnError
from edgecnn.train import devices
from edgecnn.train.cluster import Cluster
from edgecnn.train.devices import Devices

TWO = ("a:1", "b:2")


@pytest.mark.parametrize("local", [1, 2])
def test_the_hosts_shares_are_the_whole_batch_once(local: int) -> None:
    hosts = [Devices("", replicas=3 * local, cluster=Cluster(("a:1", "b:2", "c:3"), index)) for index in range(3)]
    rows = np.arange(12)
    assert np.concatenate([rows[host.share(12)] for host in hosts]).tolist() == rows.tolist()
    assert [host.is_chief for host in hosts] == [True, False, False]


def test_a_batch_that_cannot_be_shared_evenly_names_one_that_can() -> None:
    with pytest.raises(EdgecnnError, match="that 4 devices can share evenly, got 10; use 12"):
        Devices("", replicas=4, cluster=Cluster(TWO, 0)).share(10)


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
def test_a_part_is_padded_with_its_last_row(rows: int) -> None:
    batch = np.arange(rows)
    parts = [Devices("", replicas=4, cluster=Cluster(TWO, index))._part(batch) for index in range(2)]
    assert len(parts[0]) == len(parts[1])
    together = np.concatenate(parts)
    assert len(together) % 4 == 0
    assert together[:rows].tolist() == batch.tolist()
    assert set(together[rows:]) <= {rows - 1}


@pytest.mark.parametrize(
    ("kind", "replicas", "workers", "line"),
    [
        ("CPU", 1, 1, "JAX, CPU, 4 cores"),
        ("CPU", 2, 1, "JAX, 2 CPUs"),
        ("CPU", 2, 2, "JAX, CPUs of 2 hosts"),
        ("GPU", 1, 1, "JAX, 1 GPU"),
        ("GPU", 4, 2, "JAX, 4 GPUs on 2 hosts"),
    ],
)
def test_devices_are_described(
    monkeypatch: pytest.MonkeyPatch, kind: str, replicas: int, workers: int, line: str
) -> None:
    monkeypatch.setattr(devices, "_cores", lambda: 4)
    assert devices._name("JAX", kind, replicas, workers) == line


def test_batch_normalization_is_synchronized_for_a_while() -> None:
    inner = SimpleNamespace(synchronized=False)
    other = SimpleNamespace(layers=[inner])
    asked = SimpleNamespace(synchronized=True)
    model = SimpleNamespace(layers=[other, asked, SimpleNamespace()])
    with devices._synchronized(model):
        assert inner.synchronized
    assert not inner.synchronized
    assert asked.synchronized
