"""The pipeline: a Keras model and pictures in, one sealed `.tflite` out.

load → float .tflite → labels → preprocessing → calibrate → parity → quantize → measure → seal → write
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.bundle import Bundle, open_bundle, seal
from edgecnn.bundle.card import Card
from edgecnn.bundle.tflite import describe, with_metadata, with_signature
from edgecnn.bundle.weights import is_float
from edgecnn.compress.quantize import STATIC, quantize, require_quantizer
from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.result import ConvertResult, Step
from edgecnn.data.dataset import Dataset, Sample, balanced
from edgecnn.data.preprocess import Preprocessor, real_range
from edgecnn.errors import DataError, ImageError, ModelError, PreprocessError
from edgecnn.files import sha256_bytes, sha256_path, write_atomic
from edgecnn.keras_io.card import KerasCard, read_card
from edgecnn.keras_io.export import Parity, check_parity, export_float
from edgecnn.keras_io.load import KerasSource, load_source
from edgecnn.keras_io.safety import SourceFile, inspect_source
from edgecnn.measure.evaluate import labelled_task
from edgecnn.measure.machine import versions
from edgecnn.measure.match import labels_for, preprocess_for
from edgecnn.measure.score import Scores, score
from edgecnn.runtime.classifier import Classifier, read_model
from edgecnn.runtime.interpreter import Engine
from edgecnn.spec import Spec

_PARITY_SAMPLES = 8
_CHECK_SAMPLES = 32  # pictures that tell the kind of the head


class Observer(Protocol):
    """Hears how far a conversion is; the command line draws it."""

    def step(self, name: str) -> None:
        """A step begins."""

    def progress(self, done: int, total: int) -> None:
        """Part of the running step is done; may come from other threads."""


class _Silent:
    def step(self, name: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass


class _Run:
    """Names, times and announces the steps of one conversion."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.steps: list[Step] = []
        self.notes: list[str] = []

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        self.observer.step(name)
        started = time.perf_counter()
        details: list[str] = []
        yield details
        self.steps.append(Step(name, round(time.perf_counter() - started, 3), "; ".join(details)))


@dataclass(frozen=True)
class _Loaded:
    """A model as a float `.tflite`, with what its file says about itself."""

    content: bytes
    file: SourceFile
    source: KerasSource | None
    bundle: Bundle
    head: str


def convert_model(
    model: str | Path,
    output: str | Path,
    dataset: Dataset,
    config: ConvertConfig | None = None,
    *,
    observer: Observer | None = None,
) -> ConvertResult:
    """Convert a Keras model, SavedModel or float `.tflite` to a sealed `.tflite`.

    The output is written when everything else has succeeded, whole or not at all. A missed accuracy budget
    is no error: see `ConvertResult.within_budget`.

    Args:
        model: `.keras`, `.h5`, SavedModel folder or float `.tflite`.
        output: path of the bundle.
        dataset: labelled pictures, or unlabelled ones: then agreement with the float model is measured.

    Raises:
        ModelError: not a single-image classifier, or already quantized.
        DataError: the data does not fit the model.
        PreprocessError: the preprocessing cannot be found out.
        ConversionError: a step failed, or the float `.tflite` differs from Keras (ParityError).
    """
    config = config or ConvertConfig()
    run = _Run(observer or _Silent())
    model, output = Path(model), Path(output)
    _check_early(model, output, dataset, config)
    loaded = _load(model, config, run)
    engine = Engine(loaded.content, size=config.preprocess.size)
    labels = labels_for(config.labels, loaded.bundle, dataset, engine.classes, str(model))
    calibration, measured, split = _samples(dataset, labels, config, run)
    with run.step("prepare pictures") as details:
        preprocess, choice = _preprocess(loaded, engine, dataset, calibration, config, run)
        wanted = config.calibration_samples if config.quantize in STATIC else _CHECK_SAMPLES
        samples = balanced(calibration, wanted, seed=config.seed)
        tensors = _tensors(dataset, samples, preprocess, run)
        details += [choice["detail"], f"{len(tensors)} training images"]
    head = _confirmed_head(loaded, tensors)
    parity = _parity(loaded, tensors, run)
    with run.step(f"quantize to {config.quantize}") as details:
        quantized = quantize(
            loaded.content,
            kind=config.quantize,
            io=config.io_type,
            head=head,
            tensors=tensors,
            input_range=real_range(preprocess),
        )
        if quantized.chosen:
            details.append(f"activation ranges at the {quantized.chosen.range_quantile:.0%} quantile of the extremes")
            details.append(f"{quantized.chosen.weights} weights")
            details += ["biases corrected"] if quantized.chosen.bias_correction else []
    with run.step("measure accuracy") as details:
        contents = [loaded.content] + ([quantized.content] if config.quantize != "float32" else [])
        classifiers = [Classifier(c, labels=labels, preprocess=preprocess, head=head) for c in contents]
        scores = score(classifiers, dataset, measured, progress=run.observer.progress)
        accuracy = _accuracy(scores, split, labelled=dataset.labelled)
        details.append(f"{accuracy['samples']} images of the {split} split")
        if scores.skipped:
            run.notes.append(f"images skipped because they cannot be read: {len(scores.skipped)}")
    with run.step("seal and write") as details:
        used = samples if config.quantize in STATIC else ()
        card = Card(
            preprocess=preprocess,
            head=head,
            labels=len(labels),
            source={"name": _text(model.name), "sha256": sha256_path(model), "kind": loaded.file.kind},
            recipe={
                "quantize": config.quantize,
                "io": config.io_type,
                "calibration_samples": len(used),
                "seed": config.seed,
            }
            | (asdict(quantized.chosen) if quantized.chosen else {}),
            versions=versions(),
            calibration=_calibration_card(dataset, used),
            accuracy=accuracy,
        )
        content = seal(quantized.content, labels=labels, preprocess=preprocess, card=card, name=_text(model.stem))
        write_atomic(output, content)
        details.append(f"{len(content):,} bytes")
    return ConvertResult(
        model=model,
        model_sha256=card.source["sha256"],
        output=output,
        content=content,
        float_content=loaded.content,
        config=config,
        labels=labels,
        preprocess=preprocess,
        head=head,
        choice=choice,
        calibration_samples=len(used),
        quantized=quantized,
        parity=parity,
        accuracy=accuracy,
        scores=scores,
        steps=tuple(run.steps),
        notes=(*dataset.notes, *run.notes),
    )


def load_float(model: str | Path, spec: Spec | None = None, *, allow_unsafe: bool = False) -> bytes:
    """Any model file as `.tflite` content: Keras models are converted to float, `.tflite` files are read.

    Raises:
        ModelError: not a single-image classifier.
        ConversionError: the conversion failed.
    """
    file = inspect_source(model, allow_unsafe=allow_unsafe)
    if file.kind == "tflite":
        return read_model(model)
    spec = spec or Spec()
    content = _export(load_source(model, allow_unsafe=allow_unsafe), spec)
    card = read_card(model) if file.kind == "keras" else None
    return content if card is None else _sealed(content, card, model)


def _check_early(model: Path, output: Path, dataset: Dataset, config: ConvertConfig) -> None:
    """What can be known to fail is told before minutes of work."""
    if not output.parent.is_dir():
        raise DataError(f"cannot write {output}: there is no folder {output.parent}")
    if not os.access(output.parent, os.W_OK):
        raise DataError(f"cannot write {output}: you may not write into the folder {output.parent}")
    if output.exists() and not output.is_file():
        raise DataError(f"cannot write {output}: it is a folder or a device; name a .tflite file")
    if output.exists() and model.exists() and output.samefile(model):
        raise DataError(f"cannot write {output}: it is the model itself; name another file")
    if config.quantize != "float32":
        require_quantizer()
    if config.max_drop is not None and not dataset.labelled:
        raise DataError(f"--max-drop needs labelled images, and {dataset.name} has no class folders")


def _load(path: Path, config: ConvertConfig, run: _Run) -> _Loaded:
    with run.step("load") as details:
        file = inspect_source(path, allow_unsafe=config.allow_unsafe)
        details.append(file.kind)
        if file.kind == "tflite":
            whole = read_model(path)
            Engine(whole, size=config.preprocess.size)  # refuses what is no single-image classifier
            if not is_float(whole):
                raise ModelError(f"{path} is quantized already; give the float model it was made from")
            bare = with_metadata(whole, b"")  # metadata would point at labels that the result has not yet
            return _Loaded(with_signature(bare), file, None, open_bundle(whole), describe(whole).head)
        source = load_source(path, allow_unsafe=config.allow_unsafe)
    with run.step("convert to float .tflite") as details:
        content = _export(source, config.preprocess)
        details.append(f"{len(content):,} bytes")
    card = read_card(path) if file.kind == "keras" else None
    bundle = open_bundle(content if card is None else _sealed(content, card, path))
    return _Loaded(content, file, source, bundle, describe(content).head)


def _sealed(content: bytes, card: KerasCard, model: str | Path) -> bytes:
    """A float `.tflite` with what its `.keras` file says about its use."""
    head = describe(content).head
    source = {"name": _text(Path(model).name), "sha256": sha256_path(model), "kind": "keras"}
    about = Card(
        preprocess=card.preprocess,
        head=head,
        labels=len(card.labels),
        source=source,
        recipe={"quantize": "float32"},
        versions=versions(),
        calibration={},
        accuracy=None,
    )
    return seal(content, labels=card.labels, preprocess=card.preprocess, card=about)


def _export(source: KerasSource, spec: Spec) -> bytes:
    width, height = spec.width or source.width, spec.height or source.height
    path = source.file.path
    if width < 1 or height < 1:
        raise PreprocessError(f"{path} takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT")
    if source.width not in (-1, width) or source.height not in (-1, height):
        fixed = f"{source.width}x{source.height}"
        raise PreprocessError(f"{path} takes pictures of {fixed}, but --preprocess says {width}x{height}")
    return export_float(source, width=width, height=height)


def _samples(
    dataset: Dataset, labels: Sequence[str], config: ConvertConfig, run: _Run
) -> tuple[tuple[Sample, ...], tuple[Sample, ...], str]:
    """Samples to calibrate with, samples to measure on (never the same), and the name of the measured split."""
    if dataset.labelled:
        split = dataset.measured_split()
        measured = labelled_task(dataset, labels, split, limit=config.accuracy_samples)
        run.notes.extend(measured.notes)
        return labelled_task(dataset, labels, "train").samples, measured.samples, split
    images = dataset.split("train")
    if len(images) < 2:
        raise DataError(f"{dataset.name} has {len(images)} image(s); half calibrate, the rest measure agreement")
    mixed, half = balanced(images, len(images), seed=config.seed), (len(images) + 1) // 2
    run.notes.append("the images have no labels: half of them calibrate, agreement is measured on the other half")
    return mixed[:half], mixed[half:][: config.accuracy_samples], "unlabelled"


def _preprocess(
    loaded: _Loaded, engine: Engine, dataset: Dataset, samples: Sequence[Sample], config: ConvertConfig, run: _Run
) -> tuple[Preprocess, dict[str, Any]]:
    preprocess, record, choice = preprocess_for(
        engine,
        loaded.content,
        loaded.head,
        loaded.bundle,
        config.preprocess,
        dataset,
        samples,
        name=str(loaded.file.path),
        inside=loaded.file.has_preprocessing,
        seed=config.seed,
    )
    if choice is not None and choice.tied:
        run.notes.append(f"preprocessing: {choice.detail}; state --preprocess if you know it")
    return preprocess, record


def _tensors(
    dataset: Dataset, samples: Sequence[Sample], preprocess: Preprocess, run: _Run
) -> list[NDArray[np.float32]]:
    prepare = Preprocessor(preprocess)
    tensors = []
    for i, sample in enumerate(samples):
        try:
            tensors.append(prepare(dataset.read(sample)))
        except ImageError as exc:
            run.notes.append(f"calibration skipped an image: {exc}")
        run.observer.progress(i + 1, len(samples))
    if not tensors:
        raise DataError(f"none of the {len(samples)} calibration images of {dataset.name} could be read")
    return tensors


def _confirmed_head(loaded: _Loaded, tensors: Sequence[NDArray[np.float32]]) -> str:
    """The head's kind; a softmax written out in other operations is recognised by its sums."""
    if loaded.head != "logits":
        return loaded.head
    engine = Engine(loaded.content, size=(tensors[0].shape[1], tensors[0].shape[0]))
    outputs = np.stack([engine.run(tensor) for tensor in tensors[:_CHECK_SAMPLES]])
    sums_to_one = engine.classes > 1 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3) and outputs.min() >= 0
    return "softmax" if sums_to_one else "logits"


def _parity(loaded: _Loaded, tensors: Sequence[NDArray[np.float32]], run: _Run) -> Parity | None:
    if loaded.source is None:
        return None
    with run.step("check against Keras") as details:
        parity = check_parity(loaded.source, loaded.content, np.stack(tensors[:_PARITY_SAMPLES]))
        details.append(f"largest difference {parity.max_abs_difference:.1e} on {parity.samples} images")
    return parity


def _accuracy(scores: Scores, split: str, *, labelled: bool) -> dict[str, Any]:
    first, last = scores.predicted(0), scores.predicted(len(scores.probabilities) - 1)
    record: dict[str, Any] = {"float": None, "output": None, "drop_pp": None}
    if labelled:
        truth = np.array([sample.label for sample in scores.samples])
        record = {"float": float(np.mean(first == truth)), "output": float(np.mean(last == truth))}
        record["drop_pp"] = round(100 * (record["float"] - record["output"]), 6)
    return record | {"agreement": float(np.mean(first == last)), "samples": len(scores.samples), "split": split}


def _calibration_card(dataset: Dataset, samples: Sequence[Sample]) -> dict[str, Any]:
    names = "\n".join(sample.name for sample in samples)
    digest = sha256_bytes(names.encode("utf-8", "surrogatepass"))
    return {"data": _text(dataset.name), "samples": len(samples), "names_sha256": digest}


def _text(name: str) -> str:
    """A file's name as a card takes it: bytes that are no text, and backslashes, become question marks."""
    return name.encode("utf-8", "replace").decode().replace("\\", "?")
