"""The pipeline: a Keras model and pictures in, one sealed `.tflite` out.

load → float .tflite → labels → preprocessing → calibrate → stages → parity → quantize → confidence →
measure → seal → write
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.bundle import seal
from edgecnn.bundle.card import Card
from edgecnn.compress.ladder import Climb
from edgecnn.compress.quantize import Quantized, require_quantizer
from edgecnn.config import Preprocess
from edgecnn.convert.compression import Workshop, workshop
from edgecnn.convert.gains import gains
from edgecnn.convert.loading import Loaded, card_text, load
from edgecnn.convert.options import CALIBRATED, ConvertConfig
from edgecnn.convert.quantizing import Quantizing, confidence_doubts, confidence_words, quantized_words
from edgecnn.convert.result import ConvertResult, Step
from edgecnn.convert.samples import choose_judges, choose_pictures
from edgecnn.data.dataset import Dataset, Sample, balanced
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import DataError, ImageError, ModelError
from edgecnn.files import sha256_bytes, write_atomic
from edgecnn.keras_io.export import Parity, check_parity, export_float
from edgecnn.keras_io.load import KerasSource
from edgecnn.measure.machine import versions
from edgecnn.measure.match import labels_for, preprocess_for
from edgecnn.measure.reference import measure_reference
from edgecnn.measure.score import Scores, score
from edgecnn.runtime.interpreter import Engine
from edgecnn.train.loop import Observer, Silent

_PARITY_SAMPLES = 8
_CHECK_SAMPLES = 32  # pictures that tell the kind of the head


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
    run = _Run(observer or Silent())
    model, output = Path(model), Path(output)
    _check_early(model, output, dataset, config)
    loaded = load(model, config.preprocess, run.step, allow_unsafe=config.allow_unsafe)
    engine = Engine(loaded.content, size=config.preprocess.size)
    labels = labels_for(config.labels, loaded.bundle, dataset, engine.classes, str(model))
    pictures = choose_pictures(dataset, labels, config)
    run.notes += pictures.notes
    with run.step("prepare pictures") as details:
        preprocess, choice = _preprocess(loaded, engine, dataset, pictures.training, config, run)
        wanted = config.calibration_samples if config.quantize in CALIBRATED else _CHECK_SAMPLES
        samples = balanced(pictures.training, wanted, seed=config.seed)
        tensors = _tensors(dataset, samples, preprocess, run)
        details += [choice["detail"], f"{len(tensors)} training images"]
    head = _confirmed_head(loaded, tensors)
    judges = choose_judges(dataset, labels, pictures, samples) if config.quantize == "auto" else ()
    work = Quantizing(config, dataset, preprocess, labels, head, tensors, judges)
    with ExitStack() as resources:

        @cache
        def bench() -> Workshop:
            return resources.enter_context(
                _workshop(loaded, head, dataset, pictures.training, preprocess, output, config, run)
            )

        source, content, stages = _staged(loaded, bench, preprocess, config, run)
        parity = _parity(source, content, tensors, run)
        with run.step(f"quantize to {config.quantize}") as details:
            quantized, climbed = _quantized(work, content, loaded, bench, config, run)
            details += quantized_words(quantized, climbed)
    gained = None
    if stages:
        with run.step("compare with no pruning or training") as details:
            plain = work.plain(loaded.content).content
            gained = gains(work.classifier(plain), plain, work.classifier(quantized.content), quantized.content)
            details += gained["words"]
    confidence = None
    if config.calibrate_confidence:
        with run.step("calibrate confidence") as details:
            confidence = work.confidence(quantized.content, pictures, progress=run.observer.progress)
            details += confidence_words(confidence)
    with run.step("measure accuracy") as details:
        models = [work.classifier(loaded.content)]
        if confidence or quantized.content != loaded.content:
            models.append(work.classifier(quantized.content, confidence))
        scores = score(models, dataset, pictures.measured, progress=run.observer.progress, describe=True)
        reference = measure_reference(scores, pictures.split)
        run.notes += confidence_doubts(confidence, scores) if confidence else []
        accuracy = _accuracy(scores, pictures.split, labelled=dataset.labelled)
        details.append(f"{accuracy['samples']} images of the {pictures.split} split")
        if scores.skipped:
            run.notes.append(f"images skipped because they cannot be read: {len(scores.skipped)}")
    with run.step("seal and write") as details:
        used = samples if config.quantize in CALIBRATED else ()
        card = Card(
            preprocess=preprocess,
            head=head,
            labels=len(labels),
            source={"name": card_text(model.name), "sha256": loaded.sha256, "kind": loaded.file.kind},
            recipe=_card_recipe(config, len(used), quantized, climbed),
            versions=versions(),
            calibration=_calibration_card(dataset, used),
            accuracy=accuracy,
            confidence=confidence,
            reference=reference,
        )
        content = seal(quantized.content, labels=labels, preprocess=preprocess, card=card, name=card_text(model.stem))
        write_atomic(output, content)
        shutil.rmtree(_state_folder(output), ignore_errors=True)
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
        stages=stages,
        gains=gained,
        climb=climbed,
        quantized=quantized,
        parity=parity,
        accuracy=accuracy,
        confidence=confidence,
        reference=reference,
        scores=scores,
        steps=tuple(run.steps),
        notes=(*dataset.notes, *run.notes),
    )


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
    for option, given in (
        ("--max-drop", config.max_drop is not None),
        ("--calibrate-confidence", config.calibrate_confidence),
    ):
        if given and not dataset.labelled:
            raise DataError(f"{option} needs labelled images, and {dataset.name} has no class folders")


def _preprocess(
    loaded: Loaded, engine: Engine, dataset: Dataset, samples: Sequence[Sample], config: ConvertConfig, run: _Run
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


def _confirmed_head(loaded: Loaded, tensors: Sequence[NDArray[np.float32]]) -> str:
    """The head's kind; a softmax written out in other operations is recognised by its sums."""
    if loaded.head != "logits":
        return loaded.head
    engine = Engine(loaded.content, size=(tensors[0].shape[1], tensors[0].shape[0]))
    outputs = np.stack([engine.run(tensor) for tensor in tensors[:_CHECK_SAMPLES]])
    sums_to_one = engine.classes > 1 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3) and outputs.min() >= 0
    return "softmax" if sums_to_one else "logits"


def _workshop(
    loaded: Loaded,
    head: str,
    dataset: Dataset,
    samples: Sequence[Sample],
    preprocess: Preprocess,
    output: Path,
    config: ConvertConfig,
    run: _Run,
) -> AbstractContextManager[Workshop]:
    if head != loaded.head:
        raise ModelError(f"{loaded.file.path} ends in a softmax of single operations; end it in a Softmax layer")
    return workshop(
        loaded.file,
        head,
        dataset,
        samples,
        preprocess,
        config.schooling,
        seed=config.seed,
        io=config.io_type,
        folder=_state_folder(output),
        observer=run.observer,
        allow_unsafe=config.allow_unsafe,
    )


def _staged(
    loaded: Loaded, bench: Callable[[], Workshop], preprocess: Preprocess, config: ConvertConfig, run: _Run
) -> tuple[KerasSource | None, bytes, tuple[dict[str, Any], ...]]:
    """The model after its stages, as Keras and as float `.tflite`, with a record of each stage."""
    if not config.first_stages:
        return loaded.source, loaded.content, ()
    records = []
    for number, stage in enumerate(config.first_stages, 1):
        with run.step(stage.title) as details:
            record, words = bench().run(stage, f"{number}-{stage.technique}")
            records.append(record)
            details += words
    with run.step("convert to float .tflite") as details:
        source = bench().source
        content = export_float(source, width=preprocess.width, height=preprocess.height)
        details.append(f"{len(content):,} bytes")
    return source, content, tuple(records)


def _quantized(
    work: Quantizing,
    content: bytes,
    loaded: Loaded,
    bench: Callable[[], Workshop],
    config: ConvertConfig,
    run: _Run,
) -> tuple[Quantized, Climb | None]:
    """The int8 model that was trained, or what post-training quantization or the ladder gives."""
    if config.first_stages and (trained := bench().quantized):
        return Quantized(trained), None

    def train() -> bytes:
        run.observer.step(config.last_rung.title)
        bench().run(config.last_rung, "qat")
        return bench().quantized

    missing = ""
    if loaded.file.kind in ("tflite", "saved_model"):
        missing = f"{loaded.file.path} cannot be trained, only a .keras or .h5 model can"
    elif not work.dataset.labelled:
        missing = f"{work.dataset.name} has no class folders to learn from"
    qat = None if missing else train
    return work.run(content, qat=qat, qat_missing=missing, progress=lambda rung: run.observer.step(f"try {rung}"))


def _card_recipe(config: ConvertConfig, samples: int, quantized: Quantized, climbed: Climb | None) -> dict[str, Any]:
    recipe: dict[str, Any] = {
        "quantize": config.quantize,
        "io": config.io_type,
        "calibration_samples": samples,
        "seed": config.seed,
    }
    if config.stages:
        recipe["stages"] = [stage.to_dict() for stage in config.stages]
    if config.keep_float:
        recipe["keep_float"] = list(config.keep_float)
    if config.calibrate_confidence:
        recipe |= {"calibrate_confidence": True, "keep_right": config.keep_right}
    if climbed:
        rung = climbed.rungs[climbed.taken]
        recipe |= {"rung": rung.name, "float_layers": list(rung.float_layers)}
    return recipe | (asdict(quantized.chosen) if quantized.chosen else {})


def _state_folder(output: Path) -> Path:
    """Where stages keep what they have learned until the output is written; a second call goes on from there."""
    return output.with_name(f"{output.name}.stages")


def _parity(
    source: KerasSource | None, content: bytes, tensors: Sequence[NDArray[np.float32]], run: _Run
) -> Parity | None:
    if source is None:
        return None
    with run.step("check against Keras") as details:
        parity = check_parity(source, content, np.stack(tensors[:_PARITY_SAMPLES]))
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
    return {"data": card_text(dataset.name), "samples": len(samples), "names_sha256": digest}
