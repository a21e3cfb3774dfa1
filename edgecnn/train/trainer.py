"""Training: labelled pictures in, one sealed `.keras` out.

network → decode → epochs → measure → seal and write
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset, Sample, balanced
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import DataError, MissingExtraError
from edgecnn.files import remove_parts, sha256_bytes, write_atomic
from edgecnn.keras_io.card import KerasCard, with_card
from edgecnn.keras_io.perturb import loss_gradient
from edgecnn.measure.evaluate import Evaluation, summarize
from edgecnn.measure.machine import versions
from edgecnn.measure.score import Scores
from edgecnn.quiet import quiet
from edgecnn.robust.attacks import Surrogate
from edgecnn.train import checkpoint, loop
from edgecnn.train.adversary import RobustAccuracy, robust_accuracy
from edgecnn.train.batches import Batches, balanced_weights
from edgecnn.train.cache import PictureCache
from edgecnn.train.checkpoint import State
from edgecnn.train.cluster import Cluster
from edgecnn.train.design import Design, design, learner
from edgecnn.train.devices import Forward, start
from edgecnn.train.logs import Logs, require_logs
from edgecnn.train.loop import Observer, Silent
from edgecnn.train.options import UNBALANCED, TrainConfig
from edgecnn.train.result import TrainResult

_PREDICT_BATCH = 128
_ATTACKED = 1000  # pictures


def train_model(
    dataset: Dataset,
    output: str | Path,
    config: TrainConfig | None = None,
    *,
    observer: Observer | None = None,
    cluster: Cluster | None = None,
) -> TrainResult:
    """Train an image classifier and write it as a `.keras` file that carries its labels and preprocessing.

    Logs and the checkpoint lie in a folder beside it, named like it with `.training` for `.keras`.

    Args:
        cluster: hosts that train together, each in a call of its own; the first one writes the files.

    Raises:
        DataError: no labels, too few pictures, an output that cannot be written, or an interrupted training that
            `resume` does not ask to go on with.
        ModelError: the architecture, the weights or the teacher cannot be used.
        PreprocessError: the normalization of the weights is not known.
        MissingExtraError: Keras or a package for the logs is not installed.
    """
    config, output, observer = config or TrainConfig(), Path(output), observer or Silent()
    folder = output.with_suffix(".training")
    _check_output(output, folder)
    training, validation = _splits(dataset, config)
    identity = config.to_dict() | {"data": _fingerprint(dataset, [*training, *validation])}
    state = _state(folder / "last.npz", identity, config)
    keras = _keras()
    require_logs()
    devices = start(cluster)
    own_rows = devices.share(min(config.batch_size, len(training)))
    observer.step("make the network")
    keras.utils.set_random_seed(config.seed)
    with devices.scope(), _precision(config):
        plan = design(dataset, training, config)
        network = plan.build()
        student = learner(plan, network, dataset.classes, config)
    folder.mkdir(exist_ok=True)
    if devices.is_chief:
        remove_parts(folder)
    observer.step("decode images")
    with (
        _cache(dataset, [*training, *validation], plan.preprocess, config, folder, observer) as cache,
        Logs(folder, state.history) if devices.is_chief else nullcontext() as logs,
    ):
        learned, held_out = _parts(cache, training)
        weights = _class_weights(cache.labels[learned], len(dataset.classes), config)
        classes, prepare = len(dataset.classes), Preprocessor(plan.preprocess)

        def save(state: State) -> None:
            if logs:
                checkpoint.save(folder / "last.npz", state, identity)
                logs.write(state.history)

        if logs and state.finished:  # nothing is left to train, but the logs may be gone
            logs.draw(state.history)
        observer.step("train")
        state = loop.run(
            student,
            Batches(
                cache,
                learned,
                classes,
                prepare,
                config.batch_size,
                options=config.augment,
                class_weights=weights,
                seed=config.seed,
                rows=own_rows,
            ),
            Batches(cache, held_out, classes, prepare, config.batch_size) if len(held_out) else None,
            config,
            state=state,
            save=save,
            observer=observer,
            devices=devices,
        )
    observer.step("measure accuracy")
    kept = state.best_epoch if config.keep == "best" and len(held_out) else len(state.history)
    with devices.scope():
        network = _kept(plan, network, state, kept, config)
    split = dataset.measured_split()
    evaluation = _measure(devices.forward(network), plan, dataset, split, config, folder, observer)
    robust = None
    if config.attack != "none":
        observer.step("attack it")
        robust = _attack(devices.forward(network), network, plan, dataset, split, config, folder, observer)
    observer.step("seal and write")
    record = _training_record(plan, config, state, kept, dataset, evaluation, split)
    content = with_card(_saved(network, plan, folder), KerasCard(dataset.classes, plan.preprocess, record))
    if devices.is_chief:
        write_atomic(output, content)
    notes = list(dataset.notes)
    notes += ["the val split is trained on too"] if config.train_on_val else []
    notes += [f"images skipped because they cannot be read: {len(cache.skipped)}"] if cache.skipped else []
    notes += ["classes are weighed by their rareness"] if weights is not None else []
    if kept == state.best_epoch != len(state.history) and split == "val":
        notes.append("the val split chose the epoch and is what is measured: the figure is a little too good")
    return TrainResult(
        output=output,
        sha256=sha256_bytes(content),
        size_bytes=len(content),
        folder=folder,
        design=plan,
        config=config,
        parameters=int(network.count_params()),
        history=tuple(state.history),
        kept_epoch=kept,
        pictures={"train": len(learned), "val": len(held_out), "skipped": len(cache.skipped)},
        split=split,
        evaluation=evaluation,
        robust=robust,
        device=devices.describe(),
        notes=tuple(notes),
    )


def _check_output(output: Path, folder: Path) -> None:
    """What can be known to fail is told before hours of work."""
    if output.suffix != ".keras":
        raise DataError(f"expected an output that ends in .keras, got {output}")
    if not output.parent.is_dir():
        raise DataError(f"cannot write {output}: there is no folder {output.parent}")
    if not os.access(output.parent, os.W_OK):
        raise DataError(f"cannot write {output}: you may not write into the folder {output.parent}")
    if output.exists() and not output.is_file():
        raise DataError(f"cannot write {output}: it is a folder or a device; name a .keras file")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"expected a folder for the logs, {folder} is a file; move it away")


def _splits(dataset: Dataset, config: TrainConfig) -> tuple[list[Sample], list[Sample]]:
    """Samples to train on and to validate with; the test split is never touched."""
    if not dataset.labelled:
        raise DataError(f"{dataset.name} has no class folders; training needs labelled images")
    training, validation = list(dataset.split("train")), list(dataset.split("val"))
    if config.train_on_val:
        if not dataset.split("test"):
            raise DataError(f"{dataset.name} has no test split: val is what gets measured and cannot be trained on")
        training, validation = [*training, *validation], []
    missing = sorted(
        set(range(len(dataset.classes))) - {sample.label for sample in training if sample.label is not None}
    )
    if missing:
        raise DataError(f"{dataset.name} has no training image of {dataset.classes[missing[0]]}; add some")
    return training, validation


def _fingerprint(dataset: Dataset, samples: Sequence[Sample]) -> dict[str, Any]:
    names = "\n".join(f"{sample.label} {sample.name}" for sample in samples)
    digest = sha256_bytes(names.encode("utf-8", "surrogatepass"))
    return {"name": dataset.name, "classes": list(dataset.classes), "images": len(samples), "names_sha256": digest}


def _state(path: Path, identity: dict[str, Any], config: TrainConfig) -> State:
    """Where to start: from the checkpoint if that is asked for, but never over one that is not finished."""
    if not path.exists():
        return State()
    if config.resume:
        return checkpoint.load(path, identity)
    done, finished = checkpoint.standing(path)
    if not finished:
        raise DataError(
            f"{path.parent} holds a training that was interrupted after epoch {done}; "
            "add --resume to go on with it, or delete the folder to start again"
        )
    return State()


def _keras() -> Any:
    try:
        import keras
    except ImportError as exc:
        raise MissingExtraError("Keras", "train") from exc
    return keras


def _cache(
    dataset: Dataset,
    samples: Sequence[Sample],
    preprocess: Preprocess,
    config: TrainConfig,
    folder: Path,
    observer: Observer,
) -> PictureCache:
    return PictureCache(
        dataset, samples, preprocess, memory=config.cache_bytes, folder=folder, progress=observer.progress
    )


def _parts(cache: PictureCache, training: Sequence[Sample]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the cache's samples that are trained on, and of those that validate."""
    chosen = set(training)
    mask = np.array([sample in chosen for sample in cache.samples])
    return np.flatnonzero(mask), np.flatnonzero(~mask)


def _class_weights(labels: NDArray[np.int64], classes: int, config: TrainConfig) -> NDArray[np.float32] | None:
    counts = np.bincount(labels, minlength=classes)
    unbalanced = counts.max() >= UNBALANCED * max(1, counts.min())
    if config.class_weights == "none" or (config.class_weights == "auto" and not unbalanced):
        return None
    return balanced_weights(labels, classes)


@contextmanager
def _precision(config: TrainConfig) -> Iterator[None]:
    """Layers that are made inside compute in bfloat16 where that is asked for; it needs no scaling of the loss."""
    import keras

    before = keras.config.dtype_policy()
    if config.mixed_precision:
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _kept(plan: Design, network: Any, state: State, kept: int, config: TrainConfig) -> Any:
    """The network with the kept weights, computing in float32."""
    if config.mixed_precision:
        network = plan.build()
    if kept == state.best_epoch:
        checkpoint.assign(network.weights, state.best)
    else:
        checkpoint.assign(network.variables, state.network)
    return network


def _measure(
    forward: Forward, plan: Design, dataset: Dataset, split: str, config: TrainConfig, folder: Path, observer: Observer
) -> Evaluation:
    started = time.perf_counter()
    classes, samples = len(dataset.classes), dataset.split(split)
    with _cache(dataset, samples, plan.preprocess, config, folder, observer) as cache:
        batches = Batches(cache, np.arange(len(cache)), classes, Preprocessor(plan.preprocess), _PREDICT_BATCH)
        logits = np.concatenate([forward(batches[i][0]) for i in range(len(batches))])
        probabilities = loop.probabilities_of(logits).astype(np.float32)
        scores = Scores(cache.samples, (probabilities,), cache.skipped, time.perf_counter() - started)
    return summarize(scores, dataset.classes)


def _attack(
    forward: Forward,
    network: Any,
    plan: Design,
    dataset: Dataset,
    split: str,
    config: TrainConfig,
    folder: Path,
    observer: Observer,
) -> RobustAccuracy:
    """What some pictures of the measured split become under an attack on the trained network."""
    samples = balanced(dataset.split(split), _ATTACKED)
    surrogate = Surrogate(loss_gradient(network), plan.preprocess, dataset.classes, plan.name)
    with _cache(dataset, samples, plan.preprocess, config, folder, observer) as cache:
        pixels, labels = cache.gather(np.arange(len(cache))), cache.labels
        return robust_accuracy(surrogate, forward, pixels, labels, epsilon=config.epsilon, seed=config.seed)


def _training_record(
    plan: Design,
    config: TrainConfig,
    state: State,
    kept: int,
    dataset: Dataset,
    evaluation: Evaluation,
    split: str,
) -> dict[str, Any]:
    files = {name: Path(value).name for name in ("weights", "teacher") if (value := getattr(config, name))}
    return {
        "arch": plan.arch,
        "options": config.to_dict() | files,
        "data": dataset.name,
        "epochs": len(state.history),
        "kept_epoch": kept,
        "accuracy": {
            "split": split,
            "samples": evaluation.samples,
            "top1": evaluation.top1,
            "top1_ci95": list(evaluation.top1_ci95),
        },
        "versions": versions(),
    }


def _saved(network: Any, plan: Design, folder: Path) -> bytes:
    """The network with probabilities as its output, as the bytes of a `.keras` file; Keras can only write to a path."""
    import keras

    activation = "sigmoid" if plan.units == 1 else "softmax"
    probabilities = keras.layers.Activation(activation, name="probabilities")(network.output)
    model = keras.Model(network.input, probabilities, name=plan.name)
    with tempfile.TemporaryDirectory(dir=folder) as temporary, quiet():
        path = Path(temporary) / "model.keras"
        model.save(path)
        return path.read_bytes()
