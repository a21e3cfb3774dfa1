"""Fewer different weights: magnitude pruning and weight clustering of tf_keras models.

Both make the file compress better (gzip, Deflate); its size on disk and its latency stay as they are.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.tfmot import Compressed, copy_of, recomposed, seeded, split_head, tfmot
from edgecnn.compress.tune import Lessons, Teacher, TuneConfig, tune
from edgecnn.errors import ConversionError
from edgecnn.train.loop import Observer

_KERNELS: Final = {
    "Conv2D": "kernel",
    "Conv2DTranspose": "kernel",
    "Dense": "kernel",
    "SeparableConv2D": "pointwise_kernel",
}
_PRUNED_UNTIL: Final = 0.75  # share of the steps after which the sparsity is reached; the rest repairs
_MOST_UPDATES: Final = 100  # of the masks


def prune_weights(
    model: Any,
    lessons: Lessons,
    config: TuneConfig,
    *,
    sparsity: float,
    teacher: Teacher | None = None,
    observer: Observer | None = None,
    kept: Path | None = None,
) -> Compressed:
    """Set the smallest weights of each layer to zero while the rest learns (Zhu, Gupta 2017).

    The share of zeros grows along tfmot's polynomial schedule. At the end each layer has at least that share.

    Args:
        model: tf_keras Functional model, for example of `edgecnn.keras_io.rebuild.as_tf_keras`; left as it is.
        sparsity: share of zeros, in (0, 1).

    Raises:
        ConversionError: the share is outside of (0, 1), or no layer can be pruned.
        MissingExtraError: tensorflow-model-optimization is not installed.
    """
    if not 0 < sparsity < 1:
        raise ConversionError(f"expected a sparsity between 0 and 1, got {sparsity:g}")
    pruning = tfmot().sparsity.keras
    steps = max(1, config.epochs * len(lessons))
    frequency = max(1, steps // _MOST_UPDATES)
    last = frequency * max(1, round(_PRUNED_UNTIL * steps / frequency))
    schedule = pruning.PolynomialDecay(0.0, sparsity, 0, last, frequency=frequency)
    with seeded(config.seed):
        start = split_head(model)
        chosen, skipped = _layers(start, "prunes")
        wrapped = recomposed(
            start,
            lambda layer: [
                pruning.prune_low_magnitude(copy_of(layer), pruning_schedule=schedule)
                if layer.name in chosen
                else copy_of(layer)
            ],
        )
        counter = pruning.UpdatePruningStep()
        counter.set_model(wrapped)
        counter.on_train_begin()
        history = tune(
            wrapped,
            lessons,
            config,
            teacher=teacher,
            observer=observer,
            kept=kept,
            after_epoch=lambda: counter.on_epoch_end(-1),
        )
        result = recomposed(wrapped, lambda layer: [copy_of(layer)])
    changed = []
    for name in chosen:
        layer = result.get_layer(name)
        _assign(layer, _sparse(_kernel(layer), sparsity))
        changed.append((name, f"{np.mean(_kernel(layer) == 0):.1%} zeros"))
    return Compressed(result, tuple(changed), skipped, history)


def cluster_weights(
    model: Any,
    lessons: Lessons,
    config: TuneConfig,
    *,
    clusters: int,
    keep_sparsity: bool = False,
    teacher: Teacher | None = None,
    observer: Observer | None = None,
    kept: Path | None = None,
) -> Compressed:
    """Give each layer's weights at most so many different values, which learn (Han, Mao, Dally 2016).

    Args:
        model: tf_keras Functional model; left as it is.
        clusters: different weights a layer, at least 2; 3 with `keep_sparsity`.
        keep_sparsity: zeros stay zeros.

    Raises:
        ConversionError: too few clusters, or no layer has more weights than clusters.
        MissingExtraError: tensorflow-model-optimization is not installed.
    """
    fewest = 3 if keep_sparsity else 2
    if clusters < fewest:
        raise ConversionError(f"expected at least {fewest} clusters, got {clusters}")
    clustering = tfmot().clustering.keras
    # The public function cannot keep sparsity.
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster

    def clustered(layer: Any) -> Any:
        kernel = _kernel(layer)
        few = min(np.count_nonzero(kernel < 0), np.count_nonzero(kernel > 0)) < clusters
        start = clustering.CentroidInitialization
        return cluster.cluster_weights(
            copy_of(layer),
            number_of_clusters=clusters,
            # With sparsity kept, k-means looks at each sign alone and fails where it has fewer weights than centroids.
            cluster_centroids_init=start.LINEAR if keep_sparsity and few else start.KMEANS_PLUS_PLUS,
            preserve_sparsity=keep_sparsity,
        )

    with seeded(config.seed):
        start = split_head(model)
        chosen, skipped = _layers(start, "clusters", more_than=clusters)
        wrapped = recomposed(start, lambda layer: [clustered(layer) if layer.name in chosen else copy_of(layer)])
        history = tune(wrapped, lessons, config, teacher=teacher, observer=observer, kept=kept)
        result = recomposed(wrapped, _without_clustering)
    changed = []
    for name in chosen:
        layer, before = result.get_layer(name), _kernel(start.get_layer(name))
        if keep_sparsity:
            _assign(layer, np.where(before == 0, np.float32(0), _kernel(layer)))
        changed.append((name, f"{len(np.unique(_kernel(layer)))} different weights"))
    return Compressed(result, tuple(changed), skipped, history)


def _without_clustering(layer: Any) -> list[Any]:
    """The layer in tfmot's wrapper, with its clustered weights; tfmot takes the kernel out of the layer's weights."""
    if type(layer).__name__ != "ClusterWeights":
        return [copy_of(layer)]
    layer.update_clustered_weights_associations()
    copy = layer.layer.from_config(layer.layer.get_config())
    copy.build(layer.build_input_shape)
    weights = layer.layer.get_weights()
    for position, name in layer.position_original_weights.items():
        weights.insert(position, np.asarray(layer.get_weight_from_layer(name)))
    copy.set_weights(weights)
    return [copy]


def _layers(model: Any, verb: str, more_than: int = 0) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """(names of the layers with a kernel that tfmot takes, (name, reason) of the others with weights)."""
    chosen, skipped = [], []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in _KERNELS and _kernel(layer).size > more_than:
            chosen.append(layer.name)
        elif kind in _KERNELS:
            skipped.append((layer.name, f"it has only {_kernel(layer).size} weights"))
        elif kind == "DepthwiseConv2D":
            skipped.append((layer.name, f"tensorflow-model-optimization {verb} no depthwise convolution"))
        elif layer.trainable_weights and kind != "BatchNormalization":
            skipped.append((layer.name, f"tensorflow-model-optimization {verb} no {kind}"))
    if not chosen:
        raise ConversionError(
            f"no layer of {model.name!r} has a kernel that can be used; expected Conv2D or Dense layers"
        )
    return chosen, tuple(skipped)


def _kernel(layer: Any) -> NDArray[np.float32]:
    return np.asarray(getattr(layer, _KERNELS[type(layer).__name__]))


def _assign(layer: Any, values: NDArray[np.float32]) -> None:
    getattr(layer, _KERNELS[type(layer).__name__]).assign(values)


def _sparse(kernel: NDArray[np.float32], sparsity: float) -> NDArray[np.float32]:
    """The kernel with its smallest weights at zero where fewer are than promised, as after very few steps."""
    count = round(sparsity * kernel.size)
    result = kernel.copy()
    if np.count_nonzero(kernel == 0) < count:
        result.reshape(-1)[np.argsort(np.abs(kernel), axis=None, kind="stable")[:count]] = 0
    return result
