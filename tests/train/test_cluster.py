import json

import pytest

from edgecnn.errors import EdgecnnError
from edgecnn.train.cluster import Cluster, read_cluster

TWO = ("a:1", "b:2")


def tf_config(index: int, kind: str = "worker", **groups: list[str]) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": groups, "task": {"type": kind, "index": index}})}


KERAS = {
    "KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1,b:2",
    "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    "KERAS_DISTRIBUTION_PROCESS_ID": "1",
}


@pytest.mark.parametrize(
    ("hosts", "index", "environment", "cluster"),
    [
        (None, None, {}, Cluster()),
        ("a:1, b:2", 1, {}, Cluster(TWO, 1)),
        ("a:1,b:2", 0, tf_config(1, worker=["c:3", "d:4"]) | KERAS, Cluster(TWO, 0)),
        ("a:1", 0, {}, Cluster()),
        (None, None, tf_config(1, worker=["a:1", "b:2"]), Cluster(TWO, 1)),
        (None, None, tf_config(0, chief=["a:1"], worker=["b:2"]), Cluster(TWO, 1)),
        (None, None, tf_config(0, "chief", chief=["a:1"], worker=["b:2"]), Cluster(TWO, 0)),
        (None, None, {"TF_CONFIG": "{}"}, Cluster()),
        (None, None, {"TF_CONFIG": ""} | KERAS, Cluster(TWO, 1)),
        (None, None, {"KERAS_DISTRIBUTION_PROCESS_ID": "1"}, Cluster()),
    ],
)
def test_a_cluster_is_read(hosts: str | None, index: int | None, environment: dict[str, str], cluster: Cluster) -> None:
    assert read_cluster(hosts, index, environment) == cluster


@pytest.mark.parametrize(
    ("hosts", "index", "environment", "message"),
    [
        ("a:1,b:2", None, {}, "needed together"),
        (None, 1, {}, "needed together"),
        (None, None, {"KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1,b:2"}, "needed together"),
        ("a:1,b", 0, {}, "NAME:PORT, got 'b'"),
        ("a:1,b:0", 0, {}, "NAME:PORT, got 'b:0'"),
        ("a:1,b:70000", 0, {}, "NAME:PORT, got 'b:70000'"),
        ("a:1,:2", 0, {}, "NAME:PORT, got ':2'"),
        ("a:1,a:1", 0, {}, "an address of its own, got a:1,a:1"),
        ("a:1,b:2", 2, {}, "from 0 to 1, got 2"),
        ("a:1,b:2", -1, {}, "from 0 to 1, got -1"),
        (None, None, {"TF_CONFIG": "{"}, "TF_CONFIG is not the JSON"),
        (None, None, {"TF_CONFIG": "[]"}, "TF_CONFIG is not the JSON"),
        (None, None, tf_config(0, "ps", worker=["a:1", "b:2"], ps=["c:3"]), "makes this a 'ps'"),
        (None, None, KERAS | {"KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1"}, "NUM_PROCESSES is 2, but"),
    ],
)
def test_a_wrong_cluster_is_one_clear_line(
    hosts: str | None, index: int | None, environment: dict[str, str], message: str
) -> None:
    with pytest.raises(EdgecnnError, match=message) as caught:
        read_cluster(hosts, index, environment)
    assert "\n" not in str(caught.value)
