"""The stages before quantization: each takes a Keras model and gives a smaller one that has learned again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.compress.channels.blocks import drop_blocks
from edgecnn.compress.channels.gradients import gradients_of
from edgecnn.compress.channels.prune import ChannelConfig, prune_channels
from edgecnn.compress.channels.selection import Target
from edgecnn.compress.qat import quantize_aware, to_tflite
from edgecnn.compress.trained import compare_with_trained
from edgecnn.compress.tune import TuneConfig
from edgecnn.compress.weights import cluster_weights, prune_weights
from edgecnn.config import Preprocess
from edgecnn.convert.stages import BlockStage, ChannelStage, ClusterStage, MagnitudeStage, Schooling, Stage
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.preprocess import Preprocessor, real_range
from edgecnn.errors import DataError, ModelError
from edgecnn.keras_io.card import read_card
from edgecnn.keras_io.graph import flat_copy, logits
from edgecnn.keras_io.load import KerasSource, wrap_keras_model
from edgecnn.keras_io.network import load_network
from edgecnn.keras_io.rebuild import as_tf_keras
from edgecnn.keras_io.safety import SourceFile
from edgecnn.train.augment import PRESETS, Augment, parse_augment
from edgecnn.train.batches import Batch, Batches
from edgecnn.train.cache import PictureCache
from edgecnn.train.finetune import finetune
from edgecnn.train.loop import Observer, probabilities_of
from edgecnn.train.options import TrainConfig

_TAYLOR_BATCHES = 16  # ranks settle early
_LOSS_BATCHES = 8  # on which blocks are compared
_CACHE_BYTES = 1 << 30
_HEAD = "head_activation"
_COMPARED = 32  # pictures on which an int8 file is compared with the model that was trained


@contextmanager
def workshop(
    file: SourceFile,
    head: str,
    dataset: Dataset,
    samples: Sequence[Sample],
    preprocess: Preprocess,
    schooling: Schooling,
    *,
    seed: int,
    io: str,
    folder: Path,
    observer: Observer,
    allow_unsafe: bool = False,
) -> Iterator["Workshop"]:
    """Open a Keras file for its stages, with the pictures that it learns from.

    Args:
        head: "softmax", "sigmoid" or "logits": what the model's output is.
        samples: labelled training pictures, in the model's order of classes.
        io: type of the input and output tensor after training with int8.
        folder: for the state of the epochs; the same stages go on from what they find there.

    Raises:
        ModelError: the file cannot be trained.
        DataError: the pictures have no labels, or cannot be read.
    """
    if file.kind in ("tflite", "saved_model"):
        raise ModelError(f"{file.path} cannot be pruned or trained; give the .keras or .h5 model that it was made from")
    if not dataset.labelled:
        raise DataError(f"{dataset.name} has no class folders; pruning and training need labelled images")
    network = logits(flat_copy(load_network(file.path, allow_unsafe=allow_unsafe), reserved=(_HEAD,)))
    augment = schooling.augment or _trained_with(file)
    folder.mkdir(exist_ok=True)
    try:
        with PictureCache(
            dataset, samples, preprocess, memory=_CACHE_BYTES, folder=folder, progress=observer.progress
        ) as cache:
            batches = Batches(
                cache,
                np.arange(len(cache)),
                max(2, int(network.outputs[0].shape[-1])),
                Preprocessor(preprocess),
                schooling.batch_size,
                options=augment,
                seed=seed,
            )
            learning = replace(schooling, augment=augment)
            yield Workshop(file, head, network, batches, preprocess, learning, seed, io, folder, observer)
    finally:
        with suppress(OSError):  # what has learned something stays, for the next call
            folder.rmdir()


def _trained_with(file: SourceFile) -> Augment:
    """The augmentation that a `.keras` file of edgecnn was trained with; mirrored digits are no digits."""
    card = read_card(file.path) if file.kind == "keras" else None
    stated = card.training.get("options", {}).get("augment") if card else None
    return parse_augment(str(stated)) if stated else PRESETS["light"]


def with_head(network: Any, head: str) -> Any:
    """A network to logits with the activation that the original ended in."""
    import keras

    if head == "logits":
        return network
    scores = keras.layers.Activation(head, name=_HEAD)(network.outputs[0])
    return keras.Model(network.inputs[0], scores, name=network.name)


class Workshop:
    """Where stages run, one after the other; made by `workshop`.

    Attributes:
        network: Keras 3 model of normalized pictures to logits, as the last stage left it.
        quantized: the int8 `.tflite` that training with int8 gave; None without it.
    """

    def __init__(
        self,
        file: SourceFile,
        head: str,
        network: Any,
        batches: Batches,
        preprocess: Preprocess,
        schooling: Schooling,
        seed: int,
        io: str,
        folder: Path,
        observer: Observer,
    ) -> None:
        self.network, self.quantized = network, b""
        self._file, self._head, self._parent = file, head, flat_copy(network)
        self._batches, self._preprocess, self._schooling = batches, preprocess, schooling
        self._seed, self._io, self._folder, self._observer = seed, io, folder, observer
        self._sparse = self._clustered = False

    @property
    def source(self) -> KerasSource:
        """The model as it is now, to be converted."""
        return wrap_keras_model(with_head(self.network, self._head), self._file)

    def run(self, stage: Stage, name: str) -> tuple[dict[str, Any], list[str]]:
        """Run a stage.

        Args:
            name: of the files that keep its epochs.

        Returns:
            Its options with what changed and what could not be, as JSON; and a few words.

        Raises:
            EdgecnnError: its target cannot be reached.
        """
        if isinstance(stage, BlockStage):
            record, words = self._blocks(stage, name)
        elif isinstance(stage, ChannelStage):
            record, words = self._channels(stage, name)
        else:
            record, words = self._weights(stage, name)
        return stage.to_dict() | record, words

    def _blocks(self, stage: BlockStage, name: str) -> tuple[dict[str, Any], list[str]]:
        batches = list(_Some(self._batches, _LOSS_BATCHES))
        shortened = drop_blocks(self.network, stage.macs, partial(_loss, batches=batches))
        if stage.epochs:
            self._finetune(shortened.model, stage, stage.epochs, name)
        self.network = shortened.model
        record = _sizes(shortened.macs, shortened.parameters)
        record["dropped"] = [asdict(block) | {"layers": list(block.layers)} for block in shortened.dropped]
        return record, [f"{len(shortened.dropped)} blocks", *_sizes_in_words(record)]

    def _channels(self, stage: ChannelStage, name: str) -> tuple[dict[str, Any], list[str]]:
        sparsity = 0.5 if stage.sparsity is None and stage.macs is None else stage.sparsity
        config = ChannelConfig(
            Target(sparsity, stage.macs), stage.importance, stage.everywhere, stage.multiple, stage.exact, stage.steps
        )

        def learn(network: Any, step: int, steps: int) -> Any:
            if epochs := _share(stage.epochs, step, steps):
                self._finetune(network, stage, epochs, f"{name}-{step}")
            return network

        taylor = stage.importance == "taylor"
        pruned = prune_channels(
            self.network,
            config,
            finetune=learn,
            gradients=gradients_of if taylor else None,
            batches=_Some(self._batches, _TAYLOR_BATCHES) if taylor else (),
        )
        self.network = pruned.model
        record = _sizes(pruned.macs, pruned.parameters)
        record["groups"] = [asdict(group) | {"layers": list(group.layers)} for group in pruned.groups]
        return record, _sizes_in_words(record)

    def _weights(self, stage: Stage, name: str) -> tuple[dict[str, Any], list[str]]:
        """The stages of tensorflow-model-optimization, which work on a copy in tf_keras."""
        model = as_tf_keras(with_head(self.network, self._head))
        config = TuneConfig(
            stage.epochs, stage.learning_rate, self._seed, self._schooling.temperature, self._schooling.teacher_weight
        )
        common: dict[str, Any] = {
            "teacher": self._parent.predict_on_batch if self._schooling.teacher_weight else None,
            "observer": self._observer,
            "kept": self._folder / f"{name}.npz",
        }
        trained: dict[str, Any] = {}
        words: list[str] = []
        if isinstance(stage, MagnitudeStage):
            result = prune_weights(model, self._batches, config, sparsity=stage.sparsity, **common)
            self._sparse = True
        elif isinstance(stage, ClusterStage):
            result = cluster_weights(
                model, self._batches, config, clusters=stage.clusters, keep_sparsity=self._sparse, **common
            )
            self._clustered = True
        else:
            common |= {"keep_zeros": self._sparse, "keep_clusters": self._clustered}
            reach = real_range(self._preprocess)
            result = quantize_aware(model, self._batches, config, input_range=reach, **common)
            self.quantized = to_tflite(result.model, io=self._io)
            trained = {"against_trained": self._compared(result.model)}
            words = _difference(trained["against_trained"])
        if not self.quantized:
            _take_weights(self.network, result.model)
        record = {
            "changed": [{"layer": layer, "change": change} for layer, change in result.changed],
            "skipped": [{"layer": layer, "reason": reason} for layer, reason in result.skipped],
        }
        count = f"{len(result.changed)} layers changed, {len(result.skipped)} left as they were"
        return record | trained, [count, *words]

    def _compared(self, model: Any) -> dict[str, Any]:
        """How far the int8 file is from the model that was trained with rounding."""
        self._batches.start(0)
        comparison = compare_with_trained(model, self.quantized, self._batches[0][0][:_COMPARED])
        return {
            "samples": comparison.samples,
            "agreement": comparison.agreement,
            "max_abs_difference": comparison.max_abs_difference,
            "first_layer": comparison.first,
            "worst_layer": comparison.worst,
        }

    def _finetune(self, network: Any, stage: Stage, epochs: int, name: str) -> None:
        schooling = self._schooling
        assert schooling.augment
        config = TrainConfig(
            epochs=epochs,
            batch_size=schooling.batch_size,
            optimizer=schooling.optimizer,
            learning_rate=stage.learning_rate,
            warmup_epochs=min(0.5, epochs / 4),
            teacher_weight=schooling.teacher_weight,
            temperature=schooling.temperature,
            augment=schooling.augment,
            seed=self._seed,
        )
        finetune(
            network,
            self._batches,
            self._preprocess,
            config,
            parent=self._parent if schooling.teacher_weight else None,
            kept=self._folder / f"{name}.npz",
            observer=self._observer,
        )


def _sizes(macs: tuple[int, int], parameters: tuple[int, int]) -> dict[str, Any]:
    names = ("macs_before", "macs", "parameters_before", "parameters")
    return dict(zip(names, (*macs, *parameters), strict=True))


def _sizes_in_words(record: dict[str, Any]) -> list[str]:
    return [
        f"{record['macs_before']:,} to {record['macs']:,} multiply-accumulates",
        f"{record['parameters_before']:,} to {record['parameters']:,} parameters",
    ]


def _loss(network: Any, batches: Sequence[Batch]) -> float:
    """Mean cross-entropy of a network to logits."""
    import keras

    chances = [probabilities_of(keras.ops.convert_to_numpy(network(pictures))) for pictures, _, _ in batches]
    likely = np.concatenate([(p * labels).sum(axis=1) for p, (_, labels, _) in zip(chances, batches, strict=True)])
    return float(-np.log(np.maximum(likely, np.finfo(np.float32).tiny)).mean())


def _difference(compared: dict[str, Any]) -> list[str]:
    """A file that computes something else than what was trained, in words."""
    if not compared["first_layer"]:
        return []
    return [f"the file differs from the trained model, first in layer {compared['first_layer']}"]


def _take_weights(network: Any, model: Any) -> None:
    """Copy the weights of a tf_keras model into the Keras 3 model that it was rebuilt from."""
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())


class _Some:
    """The first training batches, each time anew."""

    def __init__(self, batches: Batches, count: int) -> None:
        self._batches, self._count = batches, count

    def __iter__(self) -> Iterator[Any]:
        self._batches.start(0)
        return (self._batches[i] for i in range(min(self._count, len(self._batches))))


def _share(epochs: int, step: int, steps: int) -> int:
    """Epochs of a step: all get as many, the last ones one more."""
    return epochs * step // steps - epochs * (step - 1) // steps
