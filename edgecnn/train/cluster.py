"""Which hosts train together, and which of them this is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgecnn.errors import EdgecnnError

_EXAMPLE = "for example --hosts 10.0.0.1:5000,10.0.0.2:5000 --host-index 0"


@dataclass(frozen=True)
class Cluster:
    """The hosts that train together.

    Attributes:
        hosts: "host:port" of each; the first is the chief. None: this machine alone.
        index: which of them this is.
    """

    hosts: tuple[str, ...] = ()
    index: int = 0


def read_cluster(hosts: str | None, index: int | None, environment: Mapping[str, str]) -> Cluster:
    """The cluster as the options say, else as TensorFlow's or Keras' own variables say.

    Args:
        hosts: "host:port,host:port"; the same on every host.
        index: of this host, from 0.
        environment: may hold TF_CONFIG, or KERAS_DISTRIBUTION_JOB_ADDRESSES and KERAS_DISTRIBUTION_PROCESS_ID.

    Raises:
        EdgecnnError: one without the other, addresses without port, or an index that is none of theirs.
    """
    if hosts is None and index is None:
        if environment.get("TF_CONFIG"):
            return _from_tf_config(environment["TF_CONFIG"])
        hosts = environment.get("KERAS_DISTRIBUTION_JOB_ADDRESSES") or None
        number = environment.get("KERAS_DISTRIBUTION_PROCESS_ID", "")
        index = int(number) if hosts and number.isdecimal() else None
        count = environment.get("KERAS_DISTRIBUTION_NUM_PROCESSES", "")
        if hosts and count.isdecimal() and int(count) != len(hosts.split(",")):
            raise EdgecnnError(
                f"KERAS_DISTRIBUTION_NUM_PROCESSES is {count}, but KERAS_DISTRIBUTION_JOB_ADDRESSES is {hosts}; "
                "list the address of every host"
            )
    if hosts is None and index is None:
        return Cluster()
    if hosts is None or index is None:
        raise EdgecnnError(f"the addresses of all hosts and this one's index are needed together, {_EXAMPLE}")
    return _cluster([host.strip() for host in hosts.split(",")], index)


def _from_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
        groups, task = config.get("cluster", {}), config.get("task", {})
        chiefs, workers = list(groups.get("chief", [])), list(groups.get("worker", []))
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError) as exc:
        raise EdgecnnError(f"TF_CONFIG is not the JSON of a cluster: {text}") from exc
    if not chiefs and not workers:
        return Cluster()
    if kind not in ("chief", "worker"):
        raise EdgecnnError(f"TF_CONFIG makes this a {kind!r}; only chief and workers train")
    return _cluster([*chiefs, *workers], index + (len(chiefs) if kind == "worker" else 0))


def _cluster(hosts: Sequence[str], index: int) -> Cluster:
    for host in hosts:
        name, colon, port = str(host).rpartition(":")
        if not (name and colon and port.isdecimal() and 0 < int(port) < 65536):
            raise EdgecnnError(f"expected the address of a host as NAME:PORT, got {host!r}")
    if len(set(hosts)) < len(hosts):
        raise EdgecnnError(f"every host needs an address of its own, got {','.join(hosts)}")
    if not 0 <= index < len(hosts):
        raise EdgecnnError(f"expected a host index from 0 to {len(hosts) - 1}, got {index}")
    return Cluster(tuple(hosts), index) if len(hosts) > 1 else Cluster()
