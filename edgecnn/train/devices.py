"""Data-parallel training: every device computes its rows of each batch, and all take the same step.

All local devices are used, and those of other hosts that run the same command. JAX does it inside Keras
(keras.distribution). TensorFlow does it with tf.distribute; Keras' own `fit` cannot feed several hosts there and splits
unevenly, so the epoch is written out here. torch uses one device.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.parallel import ahead
from edgecnn.errors import EdgecnnError
from edgecnn.train.cluster import Cluster

Epoch = Callable[[Any, Sequence[Any]], dict[str, float]]
Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}


class Devices:
    """What computes. Made by `start`; this class is one device, or one per host where Keras does the rest.

    Attributes:
        replicas: devices of all hosts together; each computes as many rows of a batch.
        workers, index: number of hosts, and which of them this is.
    """

    def __init__(self, name: str, *, replicas: int = 1, cluster: Cluster | None = None) -> None:
        self._name, self.replicas = name, replicas
        cluster = cluster or Cluster()
        self.workers, self.index = max(1, len(cluster.hosts)), cluster.index

    @property
    def is_chief(self) -> bool:
        """Whether this host writes the files; the others only compute."""
        return self.index == 0

    def describe(self) -> str:
        """One line for people."""
        return self._name

    def scope(self) -> AbstractContextManager[Any]:
        """Networks, optimizers and metrics are made, loaded and compiled in here."""
        return nullcontext()

    def share(self, rows: int) -> slice:
        """Which rows of a global batch this host brings, in host order.

        Raises:
            EdgecnnError: they cannot be split evenly; then the devices' mean would not be the batch's.
        """
        if rows % self.replicas:
            raise EdgecnnError(
                f"expected a batch size that {self.replicas} devices can share evenly, got {rows}; "
                f"use {rows + -rows % self.replicas}"
            )
        own = rows // self.workers
        return slice(self.index * own, (self.index + 1) * own)

    def trainer(self, model: Any) -> Epoch:
        """A function that trains one epoch; make a new one after every `compile`.

        The model is compiled with metric objects, not their names, and its optimizer built, both in `scope`. The
        function takes a PyDataset of this host's shares and callbacks, and returns the epoch's metrics over all
        hosts, the same on each. What callbacks see after a batch may be this host's alone.

        Raises:
            EdgecnnError: another host was lost. (JAX then ends the process by itself.)
        """

        def epoch(dataset: Any, callbacks: Sequence[Any]) -> dict[str, float]:
            history = model.fit(dataset, epochs=1, verbose=0, shuffle=False, callbacks=list(callbacks)).history
            return {name: float(values[0]) for name, values in history.items()}

        return epoch

    def forward(self, model: Any) -> Forward:
        """A function from a batch (n, …) to the model's output (n, …), both the same on every host; n may be any.

        All hosts must call it equally often. It sees later changes of the model's weights.
        """
        return lambda batch: np.asarray(model.predict_on_batch(batch))

    def gather(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows (n, …) of all hosts, in host order; every host brings n, and all get the same (workers * n, …)."""
        return rows

    def _part(self, batch: NDArray[Any]) -> NDArray[Any]:
        """This host's rows of a batch that is the same everywhere; its last row again until all can share evenly."""
        rows = len(batch) + -len(batch) % self.replicas
        return batch[np.minimum(np.arange(rows)[self.share(rows)], len(batch) - 1)]


class _Jax(Devices):
    """keras.distribution does everything but give each host the outputs of the others."""

    def forward(self, model: Any) -> Forward:
        import jax
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        mesh = Mesh(np.asarray(jax.devices()), ("batch",))
        split, everywhere = (NamedSharding(mesh, PartitionSpec(*names)) for names in (("batch",), ()))

        def call(trained: Any, fixed: Any, batch: Any) -> Any:
            return model.stateless_call(trained, fixed, batch, training=False)[0]

        compiled = jax.jit(call, out_shardings=everywhere)

        def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            own = jax.make_array_from_process_local_data(split, self._part(batch))
            trained, fixed = (
                [variable.value for variable in variables]
                for variables in (model.trainable_variables, model.non_trainable_variables)
            )
            return np.asarray(compiled(trained, fixed, own))[: len(batch)]

        return forward

    def gather(self, rows: NDArray[Any]) -> NDArray[Any]:
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(rows, tiled=True)) if self.workers > 1 else rows


class _TensorFlow(Devices):
    """tf.distribute with an epoch of our own."""

    def __init__(self, name: str, strategy: Any, *, cluster: Cluster) -> None:
        super().__init__(name, replicas=strategy.num_replicas_in_sync, cluster=cluster)
        self._strategy = strategy

    def scope(self) -> AbstractContextManager[Any]:
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def trainer(self, model: Any) -> Epoch:
        import keras
        import tensorflow as tf

        strategy = self._strategy

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # no types
        def step(batch: Any) -> Any:
            logs = strategy.run(model.train_step, args=(batch,))
            local = {name: strategy.experimental_local_results(value) for name, value in logs.items()}
            return {name: tf.add_n(values) / len(values) for name, values in local.items()}

        def epoch(dataset: Any, callbacks: Sequence[Any]) -> dict[str, float]:
            steps = len(dataset)
            told = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=1, steps=steps)
            model.reset_metrics()
            told.on_train_begin()
            told.on_epoch_begin(0)
            try:
                with _synchronized(model):  # counts while the step is traced, in its first call
                    for number, batch in enumerate(ahead(lambda number: self._spread(dataset[number]), steps)):
                        told.on_train_batch_begin(number)
                        told.on_train_batch_end(number, step(batch))
                # Read outside of the replicas, metrics are summed over all of them, on all hosts.
                logs = {name: float(value) for name, value in model.get_metrics_result().items()}
            except (tf.errors.UnavailableError, tf.errors.InternalError, tf.errors.AbortedError) as exc:
                if self.workers == 1:
                    raise
                raise EdgecnnError("another host was lost; start all of them again, with --resume") from exc
            told.on_epoch_end(0, logs)
            told.on_train_end(logs)
            return logs

        return epoch

    def forward(self, model: Any) -> Forward:
        import tensorflow as tf

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # no types
        def call(batch: Any) -> Any:
            return self._strategy.run(lambda rows: model(rows, training=False), args=(batch,))

        def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            parts = self._strategy.experimental_local_results(call(self._spread((self._part(batch),))[0]))
            return self.gather(np.concatenate(parts))[: len(batch)]

        return forward

    def gather(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.workers == 1:
            return rows
        local = self.replicas // self.workers
        # The order in which the engine gathers is its own affair: every row carries its place.
        places = np.arange(len(rows) + -len(rows) % local)
        padded = rows[np.minimum(places, len(rows) - 1)]
        places = np.where(places < len(rows), places + self.index * len(rows), -1)
        values, order = (self._strategy.gather(value, axis=0).numpy() for value in self._spread((padded, places)))
        result: NDArray[Any] = values[np.argsort(order, kind="stable")][-self.workers * len(rows) :]
        return result

    def _spread(self, arrays: Sequence[NDArray[Any]]) -> tuple[Any, ...]:
        """Host arrays, their rows split evenly over this host's devices and moved there."""
        import tensorflow as tf

        devices = self._strategy.extended.worker_devices

        def value(array: NDArray[Any]) -> Any:
            parts = np.split(array, len(devices))

            def part(context: Any) -> Any:
                local = context.replica_id_in_sync_group % len(devices)
                with tf.device(devices[local]):
                    return tf.constant(parts[local])

            return self._strategy.experimental_distribute_values_from_function(part)

        return tuple(value(array) for array in arrays)


def start(cluster: Cluster | None = None) -> Devices:
    """Get the devices of Keras' backend ready; before any network is made, and once a process.

    With several hosts it returns when all of them are there.

    Raises:
        EdgecnnError: the backend cannot do what is asked, or the hosts did not come together.
    """
    import keras

    cluster = cluster or Cluster()
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _start_tensorflow(cluster)
    if backend == "jax":
        return _start_jax(cluster)
    if cluster.hosts:
        raise EdgecnnError(f"expected KERAS_BACKEND=jax or tensorflow for several hosts, got {backend}")
    return Devices(f"{_NAMES.get(backend, backend)}, {_torch_device() if backend == 'torch' else _cpu(1)}")


def _start_tensorflow(cluster: Cluster) -> Devices:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    # A runtime that is up already keeps its settings.
    with suppress(RuntimeError):
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if not gpus and "TF_NUM_INTRAOP_THREADS" not in os.environ:
            tf.config.threading.set_intra_op_parallelism_threads(_cores())
            tf.config.threading.set_inter_op_parallelism_threads(1)
    if cluster.hosts:
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(cluster.hosts)}),
            task_type="worker",
            task_id=cluster.index,
            rpc_layer="grpc",
        )
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        except (RuntimeError, tf.errors.OpError) as exc:
            raise EdgecnnError(f"the hosts did not come together: {_first_line(exc)}") from exc
        name = _name("TensorFlow", "GPU" if gpus else "CPU", strategy.num_replicas_in_sync, len(cluster.hosts))
        return _TensorFlow(name, strategy, cluster=cluster)
    # Several logical processors are made on purpose, as tests do.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    name = _name("TensorFlow", "GPU" if gpus else "CPU", len(devices), 1)
    if len(devices) == 1:
        return Devices(name)
    return _TensorFlow(name, tf.distribute.MirroredStrategy([device.name for device in devices]), cluster=cluster)


def _start_jax(cluster: Cluster) -> Devices:
    import jax
    import keras

    if cluster.hosts:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        try:
            keras.distribution.initialize(",".join(cluster.hosts), len(cluster.hosts), cluster.index)
        except (RuntimeError, ValueError) as exc:
            raise EdgecnnError(f"the hosts did not come together: {_first_line(exc)}") from exc
    devices = jax.devices()
    if len(devices) > 1:
        # Each host feeds its own rows.
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    workers = max(1, len(cluster.hosts))
    kind = "CPU" if devices[0].platform == "cpu" else devices[0].platform.upper()
    name = _name("JAX", kind, len(devices), workers)
    return (_Jax if len(devices) > 1 else Devices)(name, replicas=len(devices), cluster=cluster)


def _torch_device() -> str:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count > 1:
        return f"1 of {count} GPUs; JAX and TensorFlow use all"
    return "1 GPU" if count else _cpu(1)


def _name(engine: str, kind: str, replicas: int, workers: int) -> str:
    """ "TensorFlow, CPU, 2 cores", or "JAX, 4 GPUs on 2 hosts"."""
    if kind == "CPU" and replicas == workers:
        return f"{engine}, {_cpu(workers)}"
    return f"{engine}, {replicas} {kind}{'s' * (replicas > 1)}" + (f" on {workers} hosts" if workers > 1 else "")


def _cpu(workers: int) -> str:
    cores = _cores()
    return f"CPUs of {workers} hosts" if workers > 1 else f"CPU, {cores} core{'s' * (cores > 1)}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _synchronized(model: Any) -> Iterator[None]:
    """Batch normalization over the whole batch of all devices, so that results do not depend on their number.

    Only meanwhile: a model saved with it cannot be loaded on other backends. JAX always does so.
    """
    layers = [layer for layer in _layers(model) if getattr(layer, "synchronized", None) is False]
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer in layers:
            layer.synchronized = False


def _layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _layers(layer)


def _first_line(exc: BaseException) -> str:
    return str(exc).strip().split("\n")[0]
