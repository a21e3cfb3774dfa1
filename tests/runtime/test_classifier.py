"""`Classifier` on small models made by hand: right answers, whatever the head and the types; and clear refusals."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.bundle.archive import append_archive
from edgecnn.bundle.metadata import pack_metadata
from edgecnn.bundle.tflite import with_metadata
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.errors import BundleError, EdgecnnError, ImageError, ModelError, PreprocessError
from edgecnn.quantization import TensorType
from edgecnn.runtime.classifier import Classifier, Prediction, read_model
from edgecnn.runtime.head import Head
from edgecnn.spec import parse_spec
from tests.models import build, linear, quantized, sealed

RNG = np.random.default_rng(11)
LABELS = ("ant", "bee", "cat", "dog")
WEIGHTS = RNG.normal(size=(4, 48)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)
FRAMES = RNG.integers(0, 256, (12, 4, 4, 3), np.uint8)  # BGR
CALIBRATION = FRAMES[..., ::-1].astype(np.float32) / 255
UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])


def logits(frame: NDArray[np.uint8], weights: NDArray[Any] = WEIGHTS, bias: NDArray[Any] = BIAS) -> NDArray[Any]:
    """What a model of unit-normalized RGB computes before its head."""
    return np.asarray(weights @ (frame[..., ::-1].astype(float) / 255).ravel() + bias)


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def sigmoid(scores: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-scores)))


@pytest.fixture(scope="module")
def model() -> bytes:
    return linear(WEIGHTS, BIAS)


@pytest.fixture(scope="module")
def bundle(model: bytes) -> bytes:
    return sealed(model, labels=LABELS, preprocess=UNIT)


def refused(kind: type[EdgecnnError], message: str, model: Any, **options: Any) -> None:
    with pytest.raises(kind, match=message) as caught:
        Classifier(model, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "expected"), [("softmax", softmax), ("logits", softmax), ("sigmoid", sigmoid), ("reshaped", softmax)]
)
def test_every_head_gives_probabilities(head: str, expected: Any) -> None:
    classifier = Classifier(linear(WEIGHTS, BIAS, head=head), labels=LABELS, preprocess="unit")
    assert classifier.head.kind == head.replace("reshaped", "softmax")
    for frame in FRAMES:
        probabilities = classifier.probabilities(frame)
        assert (probabilities.shape, probabilities.dtype) == ((4,), np.dtype(np.float32))
        np.testing.assert_allclose(probabilities, expected(logits(frame)), atol=1e-6)


@pytest.mark.parametrize("head", ["sigmoid", "logits"])
def test_one_unit_is_two_classes(head: str) -> None:
    model = linear(WEIGHTS[:1] / 4, BIAS[:1], head=head)
    for content in (model, quantized(model, CALIBRATION, head=head)):
        classifier = Classifier(content, labels=("no", "yes"), preprocess="unit")
        assert classifier.labels == ("no", "yes")
        for frame in FRAMES:
            yes = sigmoid(logits(frame, WEIGHTS[:1] / 4, BIAS[:1])).item()
            np.testing.assert_allclose(classifier.probabilities(frame), [1 - yes, yes], atol=0.02)
            first, second = classifier.classify(frame)
            assert (first.label, second.label) == (("yes", "no") if yes > 0.5 else ("no", "yes"))
            assert first.score + second.score == pytest.approx(1, abs=1e-6)
    refused(BundleError, "expected 2 labels for the 2 classes of the model, got 1", model, labels=("yes",))


@pytest.mark.parametrize("head", ["softmax", "logits"])
def test_types_of_input_and_output_make_no_difference(head: str) -> None:
    model = linear(WEIGHTS, BIAS, head=head)
    kinds = {
        io: Classifier(quantized(model, CALIBRATION, io=io, head=head), labels=LABELS, preprocess="unit")
        for io in ("int8", "uint8", "float32")
    }
    assert [c.engine.input_type.dtype for c in kinds.values()] == list(kinds)
    for frame in FRAMES:
        answers = np.stack([classifier.probabilities(frame) for classifier in kinds.values()])
        # a step of a softmax is 1/256; one of the logits' scale moves a probability by a quarter of it at most
        step = 1 / 256 if head == "softmax" else kinds["int8"].engine.output_type.scale / 4
        assert np.ptp(answers, axis=0).max() <= step + 1e-6
        np.testing.assert_allclose(answers[0], softmax(logits(frame)), atol=0.05)
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6 if head == "logits" else 4 / 256)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 4]))
def test_any_frame_gives_probabilities(bundle: bytes, height: int, width: int, seed: int, channels: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    probabilities = Classifier(bundle).probabilities(frame)
    assert probabilities.min() >= 0
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "logits"])
def test_heads_take_any_values_and_shapes(kind: str) -> None:
    raw = np.array([[[-1e30, 0, 1e4, 88]], [[-104, -1e4, 0, 1e30]]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        probabilities = Head(kind, TensorType()).probabilities(raw)
        one = Head(kind, TensorType()).probabilities(raw[..., :1])
    assert (probabilities.shape, one.shape) == ((2, 1, 4), (2, 1, 2))
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    np.testing.assert_allclose(one.sum(axis=-1), 1)
    if kind == "logits":
        np.testing.assert_array_equal(probabilities, [[[0, 0, 1, 0]], [[0, 0, 0, 1]]])
        np.testing.assert_allclose(one, [[[1, 0]], [[1, 0]]], atol=1e-30)


def test_logits_of_whole_numbers_are_scaled_first() -> None:
    head = Head("logits", TensorType("int8", 0.5, -3))
    expected = softmax((np.array([-128, 7, 5]) + 3) * 0.5)
    np.testing.assert_allclose(head.probabilities(np.array([-128, 7, 5], np.int8)), expected, atol=1e-6)


@given(
    st.sampled_from(["softmax", "sigmoid"]), st.sampled_from(["int8", "uint8"]), st.integers(0, 255),
    st.floats(1e-4, 2.0), st.integers(1, 5),
)  # fmt: skip
def test_a_table_of_probabilities_is_what_arithmetic_gives(
    kind: str, dtype: str, zero_point: int, scale: float, units: int
) -> None:
    output = TensorType(dtype, scale, zero_point + int(np.iinfo(dtype).min))
    every = np.arange(256, dtype=np.uint8).view(dtype)
    big = np.stack([np.roll(every, n) for n in range(2 * units)], axis=1)
    for raw in (big[:, :units], big[::-3, ::2], np.asfortranarray(big)[:, 1::2], big[7, :units]):  # views too
        real = np.clip((raw.astype(np.float32) - np.float32(output.zero_point)) * np.float32(scale), 0, 1)
        expected = np.concatenate([1 - real, real], axis=-1) if raw.shape[-1] == 1 else real
        found = Head(kind, output).probabilities(raw)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("output", [TensorType(), TensorType("int8", 1 / 256, -128)])
def test_probabilities_are_the_callers_own(output: TensorType) -> None:
    """A smoother writes into them; neither the raw scores nor later answers may change with them."""
    raw = output.quantize(np.array([0.25, 0.5, 0.125]))
    kept, head = raw.copy(), Head("softmax", output)
    probabilities = head.probabilities(raw)
    probabilities[:] = 9
    np.testing.assert_array_equal(raw, kept)
    np.testing.assert_allclose(head.probabilities(raw), [0.25, 0.5, 0.125])


def test_a_bundle_says_it_all(bundle: bytes) -> None:
    classifier = Classifier(bundle)
    assert (classifier.labels, classifier.preprocess, classifier.threads) == (LABELS, UNIT, 1)
    for frame in FRAMES:
        expected = softmax(logits(frame))
        answer = classifier.classify(frame, top_k=3)
        assert [p.index for p in answer] == np.argsort(-expected)[:3].tolist()
        assert [p.label for p in answer] == [LABELS[p.index] for p in answer]
        assert [p.score for p in answer] == pytest.approx(sorted(expected, reverse=True)[:3], abs=1e-6)
        assert all(type(value) in (str, int, float) for p in answer for value in p)  # as JSON takes them


def test_a_sealed_model_answers_as_the_foreign_one(model: bytes, bundle: bytes) -> None:
    foreign = Classifier(model, labels=LABELS, preprocess="unit,rgb")
    for frame in FRAMES:
        np.testing.assert_array_equal(foreign.probabilities(frame), Classifier(bundle).probabilities(frame))


def test_what_is_given_replaces_what_the_bundle_says(bundle: bytes) -> None:
    given = Preprocess(4, 4, "bgr", (1.0,), (2.0,), "letterbox")
    classifier = Classifier(bundle, labels=["w", "x", "y", "z"], preprocess=given, head="logits", threads=2)
    assert (classifier.labels, classifier.preprocess) == (("w", "x", "y", "z"), given)
    assert (classifier.head.kind, classifier.threads) == ("logits", 2)


@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        ("", {}),
        ("stretch", {"fit": "stretch"}),
        ("rgb", {"color": "rgb", "mean": NORMALIZATIONS["imagenet"][0], "std": NORMALIZATIONS["imagenet"][1]}),
        ("nearest,letterbox", {"fit": "letterbox", "interpolation": "nearest"}),
        ("unit", {"mean": (0.0,), "std": (255.0,)}),
        ("mean=5,std=6", {"mean": (5.0,), "std": (6.0,)}),
        ("mean=5", {"mean": (5.0,)}),
        ("caffe,rgb,size=4", {"color": "rgb", "mean": NORMALIZATIONS["caffe"][0], "std": (1.0,)}),
    ],
)
def test_a_spec_replaces_part_of_the_card(model: bytes, spec: str, changes: dict[str, Any]) -> None:
    mean, std = (values[::-1] for values in NORMALIZATIONS["imagenet"])
    card: dict[str, Any] = {"color": "bgr", "mean": mean, "std": std, "fit": "center-crop", "interpolation": "area"}
    content = sealed(model, labels=LABELS, preprocess=Preprocess(4, 4, **card))
    wanted = Preprocess(4, 4, **card | changes)
    assert Classifier(content, preprocess=spec).preprocess == wanted
    assert Classifier(content, preprocess=parse_spec(spec)).preprocess == wanted


def foreign(model: bytes, *, metadata: Preprocess = UNIT, labels: str = "ant\r\nbee\ncat\ndog\n") -> bytes:
    """The model with TFLite Metadata, as other tools write it."""
    payload = pack_metadata(
        metadata, name="", description="", output_name="score", label_file="names.txt", card_file="other.json"
    )
    return append_archive(with_metadata(model, payload), {"names.txt": labels.encode()})


def test_metadata_of_other_tools_is_used(model: bytes) -> None:
    classifier = Classifier(foreign(model))
    assert (classifier.labels, classifier.preprocess) == (LABELS, UNIT)
    np.testing.assert_allclose(classifier.probabilities(FRAMES[0]), softmax(logits(FRAMES[0])), atol=1e-6)
    changed = Classifier(foreign(model), labels=tuple("wxyz"), preprocess="bgr,area")
    assert (changed.labels, changed.preprocess.spec) == (tuple("wxyz"), "unit,size=4x4,bgr,stretch,area")
    assert Classifier(foreign(model), preprocess="symmetric").preprocess.spec == "symmetric,size=4x4,rgb,stretch"
    imagenet = Preprocess(4, 4, "rgb", *NORMALIZATIONS["imagenet"])
    assert Classifier(foreign(model, metadata=imagenet)).preprocess == imagenet


def test_labels_are_needed_and_must_fit(model: bytes, bundle: bytes, tmp_path: Path) -> None:
    missing = "carries no labels; give its 4 class names with --labels FILE$"
    refused(BundleError, f"^the model {missing}", model, preprocess="unit")
    refused(BundleError, f"^the model {missing}", model, preprocess="unit", labels=())
    refused(BundleError, f"^mine {missing}", model, preprocess="unit", name="mine")
    (tmp_path / "a.tflite").write_bytes(model)
    refused(BundleError, rf"^{tmp_path}/a\.tflite {missing}", tmp_path / "a.tflite", preprocess="unit")
    for content in (model, bundle):
        wrong = "^expected 4 labels for the 4 classes of the model, got 5$"
        refused(BundleError, wrong, content, labels=tuple("abcde"), preprocess="unit")
    refused(BundleError, "expected 4 labels for the 4 classes .* got 2", foreign(model, labels="a\nb\n"))


def test_preprocessing_is_needed_and_must_fit(model: bytes, bundle: bytes) -> None:
    unknown = r"does not say how its input is prepared; give --preprocess with one of raw, unit, .* or mean=…,std=…"
    for spec in (None, "", "rgb", "size=4", "auto"):
        refused(PreprocessError, unknown, model, labels=LABELS, preprocess=spec)
    for content in (model, bundle):
        wrong = r"takes pictures of 4x4 with 3 channel\(s\), but the preprocessing gives "
        refused(PreprocessError, wrong + "8x4 with 3", content, labels=LABELS, preprocess="unit,size=8x4")
        refused(PreprocessError, wrong + "4x4 with 1", content, labels=LABELS, preprocess="unit,gray")
        refused(PreprocessError, wrong + "5x4 with 3", content, labels=LABELS, preprocess=Preprocess(5, 4))
        refused(PreprocessError, "cannot read 'unti' in the SPEC", content, labels=LABELS, preprocess="unti")
    refused(PreprocessError, r"expected 1 value for mean \(gray\)", bundle, preprocess="gray,mean=1,2,3,std=1")


@pytest.mark.parametrize("head", ["softmx", "Softmax", "relu"])
def test_an_unknown_head_is_refused(bundle: bytes, head: str) -> None:
    refused(ModelError, f"expected head to be one of softmax, sigmoid, logits, got '{head}'", bundle, head=head)


def test_models_are_given_by_path_or_content(bundle: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mödel.tflite"
    path.write_bytes(bundle)
    for model in (bundle, path, str(path)):
        assert Classifier(model).classify(FRAMES[0]) == Classifier(bundle).classify(FRAMES[0])
    assert read_model(path) == bundle
    refused(ModelError, r"^cannot read the model .*none\.tflite: No such file or directory$", tmp_path / "none.tflite")
    refused(ModelError, r"^cannot read the model .*: Is a directory$", str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\x03\x04" + bytes(99), b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    refused(ModelError, "expected a TFLite model", content, labels=LABELS, preprocess="unit")


def test_two_nameless_outputs_are_no_classifier() -> None:
    refused(ModelError, "one output of scores, got 2", build(outputs=2, names=False), labels="abc", preprocess="raw")


def test_damaged_bundles_are_errors_and_no_crash() -> None:
    """In a process of its own, which a crash would end."""
    program = """
import numpy as np
from edgecnn.config import Preprocess
from edgecnn.errors import EdgecnnError
from edgecnn.runtime.classifier import Classifier
from tests.models import build, sealed
content = sealed(build(), labels="abc", preprocess=Preprocess(4, 4))
answered = 0
for seed in range(300):
    rng = np.random.default_rng(seed)
    damaged = bytearray(content[: rng.integers(len(content)) if seed % 3 == 0 else None])
    for _ in range(rng.integers(1, 4)):
        damaged[rng.integers(len(damaged))] = rng.integers(256)
    try:
        Classifier(bytes(damaged)).probabilities(np.zeros((4, 4, 3), np.uint8))
        answered += 1
    except EdgecnnError as exc:
        assert "\\n" not in str(exc), exc
print(0 < answered < 300)
"""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_clones_are_independent(bundle: bytes) -> None:
    first = Classifier(bundle, labels=tuple("wxyz"), preprocess="symmetric,bgr", threads=2)
    twin = first.clone()
    assert twin.engine is not first.engine
    assert twin.preprocessor is not first.preprocessor  # it has buffers
    assert not np.shares_memory(twin.engine.input, first.engine.input)
    assert (twin.labels, twin.preprocess, twin.head, twin.threads) == (
        first.labels, first.preprocess, first.head, first.threads,
    )  # fmt: skip
    first.engine.set_input(first.preprocessor(FRAMES[0]))
    twin.engine.set_input(twin.preprocessor(FRAMES[1]))
    first.engine.invoke()
    twin.engine.invoke()
    kept = first.head.probabilities(first.engine.output())
    np.testing.assert_array_equal(kept, first.clone().probabilities(FRAMES[0]))
    np.testing.assert_array_equal(twin.clone().clone().probabilities(FRAMES[1]), twin.probabilities(FRAMES[1]))
    assert not np.array_equal(first.probabilities(FRAMES[0]), twin.probabilities(FRAMES[1]))


@pytest.mark.parametrize("io", ["int8", "float32"])
def test_clones_work_in_threads(model: bytes, io: str) -> None:
    content = sealed(quantized(model, CALIBRATION, io=io), labels=LABELS, preprocess=UNIT)
    classifier = Classifier(content)
    frames = [np.resize(frame, (50, 70, 3)) for frame in FRAMES]  # so that resizing is shared too
    expected = [classifier.classify(frame) for frame in frames]

    def work(twin: Classifier) -> list[list[tuple[Prediction, ...]]]:
        return [[twin.classify(frame) for frame in frames] for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for rounds in pool.map(work, [classifier.clone(threads=n) for n in (None, 1, 2, 3)]):
            assert rounds == [expected] * 20


def test_a_dynamic_size_comes_from_the_spec_or_the_card() -> None:
    model = linear(WEIGHTS[:, :3], BIAS, size=None)
    unsaid = r"takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT"
    refused(ModelError, unsaid, model, labels=LABELS, preprocess="unit")
    for spec, size in (("unit,size=9x5", (9, 5)), (Preprocess(3, 8, "rgb", *NORMALIZATIONS["unit"]), (3, 8))):
        classifier = Classifier(model, labels=LABELS, preprocess=spec)
        assert (classifier.engine.width, classifier.engine.height) == size
        frame = np.full((6, 6, 3), (30, 20, 10), np.uint8)
        expected = softmax(WEIGHTS[:, :3] @ np.array([10, 20, 30]) / 255 + BIAS)
        np.testing.assert_allclose(classifier.probabilities(frame), expected, atol=1e-6)
        np.testing.assert_allclose(classifier.clone().probabilities(frame), expected, atol=1e-6)
    content = sealed(model, labels=LABELS, preprocess=Preprocess(7, 6, "bgr"))
    assert Classifier(content).preprocess == Preprocess(7, 6, "bgr")
    assert Classifier(content, preprocess="size=5x4,unit").preprocess.spec == "unit,size=5x4,bgr,stretch"


def test_frames_of_every_kind(bundle: bytes) -> None:
    classifier = Classifier(bundle)
    bgr = FRAMES[0]
    expected = classifier.probabilities(bgr)
    alpha = np.concatenate([bgr, bgr[..., :1]], axis=2)
    for frame, color in ((bgr[..., ::-1], "rgb"), (alpha, "bgr"), (alpha[..., [2, 1, 0, 3]], "rgb")):
        np.testing.assert_array_equal(classifier.probabilities(frame, color=color), expected)
        assert classifier.classify(frame, color=color) == classifier.rank(expected)
    assert not np.array_equal(classifier.probabilities(bgr, color="rgb"), expected)
    with pytest.raises(ImageError, match="expected a uint8 frame"):
        classifier.classify(bgr.astype(np.float32))


def test_a_gray_model_takes_frames_of_every_kind() -> None:
    model = linear(WEIGHTS[:, :16], BIAS, channels=1)
    classifier = Classifier(model, labels=LABELS, preprocess="unit")
    assert classifier.preprocess.color == "gray"
    gray = FRAMES[0, :, :, 0]
    expected = softmax(WEIGHTS[:, :16] @ (gray / 255).ravel() + BIAS)
    for frame in (gray, gray[..., None], np.repeat(gray[..., None], 3, axis=2), np.repeat(gray[..., None], 4, axis=2)):
        np.testing.assert_allclose(classifier.probabilities(frame), expected, atol=1e-6)


def test_five_classes_are_named_when_nothing_is_said() -> None:
    model = linear(RNG.normal(size=(7, 48)))
    classifier = Classifier(model, labels=tuple("abcdefg"), preprocess="unit")
    assert len(classifier.classify(FRAMES[0])) == len(classifier.rank(classifier.probabilities(FRAMES[0]))) == 5
    assert len(classifier.classify(FRAMES[0], top_k=7)) == 7


def test_equal_scores_keep_the_order_of_the_classes(bundle: bytes) -> None:
    classifier = Classifier(bundle)
    ranked = classifier.rank(np.array([0.2, 0.3, 0.2, 0.3], np.float32), top_k=9)
    assert [p.index for p in ranked] == [1, 3, 0, 2]
    assert classifier.rank(np.array([0.25, 0.5, 0.25, 0.5], np.float32), top_k=1) == (Prediction("bee", 1, 0.5),)
