"""Bring a model and a data set together: which labels, which preprocessing, and where each was learned."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgecnn.bundle.bundle import Bundle, open_bundle
from edgecnn.bundle.tflite import describe
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, PreprocessError
from edgecnn.measure.detect import Choice, detect_preprocess
from edgecnn.measure.evaluate import labelled_task
from edgecnn.runtime.classifier import Classifier, complete_preprocess, fitting_labels
from edgecnn.runtime.interpreter import Engine
from edgecnn.spec import Spec


def labels_for(given: Sequence[str] | None, bundle: Bundle, dataset: Dataset, units: int, name: str) -> tuple[str, ...]:
    """Labels that were given, else the model file's own, else the class folders when their number fits.

    Args:
        units: elements of the model's output; one unit means two classes.

    Raises:
        DataError: the number of class folders is not the number of classes.
        BundleError: no labels are known, or their number is wrong.
    """
    known = given or bundle.labels
    classes = max(2, units)
    if not known and dataset.labelled and len(dataset.classes) != classes:
        raise DataError(
            f"{name} has {classes} classes and {dataset.name} has {len(dataset.classes)} class folders; "
            "give the model's class names in output order with --labels FILE"
        )
    return fitting_labels(known or dataset.classes, classes, name)


def preprocess_for(
    engine: Engine,
    content: bytes,
    head: str,
    bundle: Bundle,
    spec: Spec,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    name: str,
    inside: bool = False,
    seed: int = 0,
) -> tuple[Preprocess, dict[str, Any], Choice | None]:
    """Preprocessing that was stated, else what the file says, else what labelled pictures tell.

    Args:
        samples: labelled pictures that accuracy is not measured on.
        inside: the model has its own normalization layer; without labels that means raw pixels.

    Returns:
        The preprocessing, a record of how it was come by, and the evidence if it was found by trying.

    Raises:
        PreprocessError: it cannot be known.
    """
    if spec.states_normalization or (_says_preprocess(bundle) and not spec.auto):
        preprocess = complete_preprocess(spec, bundle, engine, name)
        source = "card" if spec == Spec() else "stated"
        detail = "as given" if source == "stated" else "as the model file says"
        return preprocess, _record(source, f"{preprocess.spec}, {detail}"), None
    if dataset.labelled:
        spec = _filled(spec, bundle, engine)
        choice = detect_preprocess(content, head, spec, dataset, samples, seed=seed)
        return choice.preprocess, _record("auto", choice.detail, choice), choice
    if inside and not spec.auto:
        preprocess = spec.complete(engine.width, engine.height, "gray" if engine.channels == 1 else "rgb")
        return preprocess, _record("model", "raw, because the model has a normalization layer of its own"), None
    raise PreprocessError(
        f"{name} does not say how its input is prepared, and only labelled images can tell; "
        f"give --preprocess with {', '.join(NORMALIZATIONS)} or mean=…,std=…"
    )


def classifier_for(
    content: bytes,
    dataset: Dataset,
    *,
    labels: Sequence[str] | None = None,
    spec: Spec | None = None,
    name: str = "the model",
    threads: int = 1,
) -> tuple[Classifier, dict[str, Any]]:
    """A classifier ready to be measured on a data set, with the record of where its preprocessing came from.

    Raises:
        DataError, BundleError, PreprocessError: labels or preprocessing cannot be known.
    """
    spec = spec or Spec()
    bundle = open_bundle(content)
    known_size = bundle.card.preprocess.size if bundle.card else None
    engine = Engine(content, size=spec.size or known_size)
    names = labels_for(labels, bundle, dataset, engine.classes, name)
    head = bundle.card.head if bundle.card else describe(content).head
    known = spec.states_normalization or (_says_preprocess(bundle) and not spec.auto)
    tries = dataset.labelled and not known and dataset.split("train")
    samples = labelled_task(dataset, names, "train").samples if tries else ()
    preprocess, record, _ = preprocess_for(engine, content, head, bundle, spec, dataset, samples, name=name)
    return Classifier(content, labels=names, preprocess=preprocess, head=head, threads=threads), record


def _says_preprocess(bundle: Bundle) -> bool:
    """Whether the model file says how its input is normalized."""
    return bundle.card is not None or (bundle.metadata is not None and bool(bundle.metadata.mean))


def _filled(spec: Spec, bundle: Bundle, engine: Engine) -> Spec:
    """The SPEC with what trying does not find out: the size of the model, and how the card fits pictures to it."""
    spec = replace(spec, width=spec.width or engine.width, height=spec.height or engine.height)
    if bundle.card is None:
        return spec
    known = bundle.card.preprocess
    return replace(spec, fit=spec.fit or known.fit, interpolation=spec.interpolation or known.interpolation)


def _record(source: str, detail: str, choice: Choice | None = None) -> dict[str, Any]:
    candidates = [{"spec": s, "accuracy": a, "samples": n} for s, a, n in choice.candidates] if choice else []
    return {
        "source": source,
        "detail": detail,
        "samples": choice.samples if choice else 0,
        "candidates": candidates,
    }
