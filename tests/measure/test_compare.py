"""Two models on the same pictures, against one-by-one answers, scikit-learn and SciPy."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics as reference

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from edgecnn.measure.compare import compare
from edgecnn.measure.comparison import Comparison, Drift
from edgecnn.measure.intervals import paired_interval, wilson_interval
from edgecnn.runtime.classifier import Classifier
from tests.measure.colors import NAMES, ColorPictures, nearest_color

UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
RAW = Preprocess(4, 4, "rgb", *NORMALIZATIONS["raw"])
# The colour order or the scale is wrong, so that some of the answers are.
SWAPPED = Preprocess(4, 4, "bgr", *NORMALIZATIONS["unit"])
DARKER = Preprocess(4, 4, "rgb", (0.0,), (400.0,))
NO_DRIFT = Drift(0.0, 0.0, 0.0, 0.0, 0.001, ((-0.0005, 1),))


def classifier(
    classes: tuple[str, ...] = NAMES,
    preprocess: Preprocess = UNIT,
    *,
    made_for: Preprocess = UNIT,
    labels: tuple[str, ...] = (),
) -> Classifier:
    """Right where it is run with the preprocessing that it was made for."""
    return Classifier(nearest_color(made_for, classes=classes), labels=labels or classes, preprocess=preprocess)


def flat(pictures: ColorPictures) -> Dataset:
    """The test pictures without their classes."""
    samples = tuple(Sample(sample.name, None) for sample in pictures.dataset.split("test"))
    return Dataset("flat", (), {"train": samples, "val": (), "test": ()}, pictures.picture)


def table(both: int, lost: int, won: int, neither: int, *, labelled: bool = True) -> Comparison:
    """A comparison of two models with so many pictures that both, only the first, … get right."""
    kinds = np.repeat([0, 1, 2, 3], [both, lost, won, neither])
    first: NDArray[np.int64] = np.isin(kinds, [2, 3]).astype(np.int64)
    second: NDArray[np.int64] = np.isin(kinds, [1, 3]).astype(np.int64)
    samples = tuple(Sample(str(i), 0 if labelled else None) for i in range(len(kinds)))
    scores = np.ones(len(kinds), np.float32)
    return Comparison(
        ("float", "int8"), ("a", "b"), "test", samples, (first, second), (scores, scores), NO_DRIFT, (), {}, ()
    )


@pytest.fixture(scope="module")
def pair() -> tuple[ColorPictures, Classifier, Classifier, Comparison]:
    pictures, first, second = ColorPictures(test=13), classifier(preprocess=SWAPPED), classifier(preprocess=DARKER)
    return pictures, first, second, compare(first, second, pictures.dataset)


def test_every_figure_is_that_of_a_reference(
    pair: tuple[ColorPictures, Classifier, Classifier, Comparison],
) -> None:
    pictures, *models, comparison = pair
    record = comparison.to_dict()
    samples = pictures.dataset.split("test")
    truth = np.array([sample.label for sample in samples])
    rows = [np.stack([m.probabilities(pictures.picture(s.name)) for s in samples]) for m in models]
    first, second = (np.argmax(row, axis=1) for row in rows)
    assert 0.2 < reference.accuracy_score(truth, first) < 0.9
    assert record["samples"] == 130
    assert record["agreement"] == pytest.approx(np.mean(first == second), abs=1e-12)
    for side, predicted in (("float", first), ("quantized", second)):
        assert record[f"{side}_top1"] == pytest.approx(reference.accuracy_score(truth, predicted), abs=1e-12)
        assert record[f"{side}_ci95"] == pytest.approx(wilson_interval(int(np.sum(predicted == truth)), 130))
        recalls = reference.recall_score(truth, predicted, average=None, zero_division=0.0)
        f1s = reference.f1_score(truth, predicted, average=None, zero_division=0.0)
        assert [c[f"{side}_recall"] for c in record["per_class"]] == pytest.approx(recalls, abs=1e-12)
        assert [c[f"{side}_f1"] for c in record["per_class"]] == pytest.approx(f1s, abs=1e-12)
    lost, won = int(np.sum((first == truth) & (second != truth))), int(np.sum((first != truth) & (second == truth)))
    assert lost > 0 < won
    assert record["drop_pp"] == pytest.approx(100 * (np.mean(first == truth) - np.mean(second == truth)))
    assert record["drop_ci95"] == pytest.approx([100 * bound for bound in paired_interval(lost, won, 130)])
    assert record["mcnemar"] == {
        "both_right": int(np.sum((first == truth) & (second == truth))),
        "only_float": lost,
        "only_quantized": won,
        "both_wrong": int(np.sum((first != truth) & (second != truth))),
        "p_value": pytest.approx(binomtest(lost, lost + won).pvalue, rel=1e-9),
        "method": "exact",
    }
    drift = rows[1][np.arange(130), first] - rows[0][np.arange(130), first]
    assert (record["drift"]["mean"], record["drift"]["mean_abs"], record["drift"]["max_abs"]) == pytest.approx(
        (drift.mean(), np.abs(drift).mean(), np.abs(drift).max()), abs=1e-6
    )
    assert record["drift"]["p99_abs"] == pytest.approx(np.percentile(np.abs(drift), 99), abs=1e-6)
    for low, count in record["drift"]["histogram"]:
        inside = (drift >= low) & (drift < low + record["drift"]["width"])
        assert count == np.sum(inside)
    assert sum(count for _, count in record["drift"]["histogram"]) == 130


def test_every_flip_is_listed_and_some_are_shown(
    pair: tuple[ColorPictures, Classifier, Classifier, Comparison],
) -> None:
    pictures, first, second, comparison = pair
    flips = comparison.to_dict()["flips"]
    expected: list[dict[str, Any]] = []
    for sample in pictures.dataset.split("test"):
        frame, label = pictures.picture(sample.name), NAMES[sample.label or 0]
        before, after = (model.classify(frame, top_k=1)[0] for model in (first, second))
        if before.label != after.label:
            kind = "broken" if before.label == label else "fixed" if after.label == label else "both wrong"
            expected.append(
                {"image": sample.name, "label": label, "kind": kind}
                | {"float": {"label": before.label, "score": pytest.approx(before.score, abs=1e-6)}}
                | {"quantized": {"label": after.label, "score": pytest.approx(after.score, abs=1e-6)}}
            )
    assert [{key: flip[key] for key in flip if key != "thumbnail"} for flip in flips] == expected
    assert {flip["kind"] for flip in flips} == {"broken", "fixed", "both wrong"}
    shown = [i for i, flip in enumerate(flips) if flip["thumbnail"]]
    assert len(shown) == 24 < len(flips)
    assert (shown[0], shown[-1]) == (0, len(flips) - 1)  # spread over all classes
    assert all(flips[i]["thumbnail"].startswith("data:image/jpeg;base64,") for i in shown)
    per_class = comparison.to_dict()["per_class"]
    assert [c["flips"] for c in per_class] == [sum(flip["label"] == c["label"] for flip in flips) for c in per_class]


def test_the_rows_are_the_answers(pair: tuple[ColorPictures, Classifier, Classifier, Comparison]) -> None:
    pictures, first, second, comparison = pair
    rows = list(comparison.rows())
    assert [row[0] for row in rows] == [sample.name for sample in pictures.dataset.split("test")]
    for image, label, before, before_score, after, after_score in rows:
        best = [model.classify(pictures.picture(image), top_k=1)[0] for model in (first, second)]
        assert label == image.split("/")[1]
        assert (before, after) == (best[0].label, best[1].label)
        assert (before_score, after_score) == pytest.approx((best[0].score, best[1].score), abs=1e-6)


def test_a_model_agrees_with_itself() -> None:
    record = compare(classifier(), classifier(), ColorPictures(test=3).dataset).to_dict()
    assert (record["agreement"], record["drop_pp"], record["flips"]) == (1.0, 0.0, [])
    assert record["mcnemar"]["p_value"] == 1.0
    assert record["drift"]["histogram"] == [[-0.0005, 30]]
    assert record["drift"]["max_abs"] == 0.0
    assert record["verdict"] == "quantized gives float's label to all of 30 images; 100.00 % of them are right."


@pytest.mark.parametrize("labels", [NAMES[::-1], tuple(name.upper() for name in NAMES[3:] + NAMES[:3])])
def test_labels_in_another_order_and_another_preprocessing_change_nothing(labels: tuple[str, ...]) -> None:
    classes = tuple(name.lower() for name in labels)
    other = classifier(classes, RAW, made_for=RAW, labels=labels)
    pictures = ColorPictures(test=5)
    comparison = compare(classifier(preprocess=SWAPPED), other, pictures.dataset)
    plain = compare(classifier(preprocess=SWAPPED), classifier(), pictures.dataset)
    assert comparison.notes == (
        "the labels of float and quantized stand in different orders; they are matched by name",
    )
    assert comparison.labels == NAMES
    record, expected = comparison.to_dict(), plain.to_dict()
    for key in ("agreement", "float_top1", "quantized_top1", "mcnemar", "per_class", "verdict"):
        assert record[key] == expected[key]
    assert record["quantized_top1"] == 1.0
    assert [flip["quantized"]["label"] for flip in record["flips"]] == [flip["label"] for flip in record["flips"]]
    assert record["drift"]["mean_abs"] == pytest.approx(expected["drift"]["mean_abs"], abs=1e-4)


def test_labels_that_only_one_model_knows_are_told() -> None:
    first = classifier(tuple(name for name in NAMES if name != "gray"))
    second = classifier(tuple(reversed([name for name in NAMES if name not in ("red", "white")])))
    comparison = compare(first, second, ColorPictures(test=4).dataset, names=("a", "b"))
    assert comparison.labels == (*first.labels, "gray")
    assert comparison.notes == (
        "the models have different labels: only a knows red, white; only b knows gray; an answer with one of these "
        "counts as a difference",
        "classes the model does not know are left out: gray, red, white",
    )
    record = comparison.to_dict()
    assert (record["samples"], record["float_top1"], record["quantized_top1"]) == (28, 1.0, 1.0)
    assert {c["label"] for c in record["per_class"] if not c["support"]} == {"gray", "red", "white"}


def test_a_label_that_the_second_model_lacks_has_no_probability_there() -> None:
    pictures = ColorPictures(("red", "white"), test=3)
    first, second = classifier(("red", "white", "gray")), classifier(("red", "white"))
    always_gray = Classifier(
        nearest_color(UNIT, classes=("red", "white", "gray")), labels=("gray", "white", "red"), preprocess=UNIT
    )
    assert compare(first, second, pictures.dataset).agreement == 1.0
    comparison = compare(always_gray, second, pictures.dataset)
    red = [i for i, sample in enumerate(comparison.samples) if "/red/" in sample.name]
    assert {flip["float"]["label"] for flip in comparison.to_dict()["flips"]} == {"gray"}
    assert comparison.drift.max_abs == pytest.approx(float(comparison.scores[0][red].max()))


def test_no_label_in_common_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^a and b have no label in common \(red, blue against white, black\); "):
        compare(
            classifier(("red", "blue")), classifier(("white", "black")), ColorPictures(test=1).dataset, names=("a", "b")
        )
    with pytest.raises(DataError, match="no image of a class that the model knows"):
        compare(classifier(), classifier(), ColorPictures(train=2, test=1).dataset, split="val")


def test_pictures_without_classes_tell_agreement_alone() -> None:
    pictures = ColorPictures(test=6)
    first, second = classifier(preprocess=SWAPPED), classifier()
    record = compare(first, second, flat(pictures)).to_dict()
    labelled = compare(first, second, pictures.dataset).to_dict()
    assert record["split"] == "unlabelled"
    for key in ("samples", "agreement", "drift"):
        assert record[key] == labelled[key]
    nothing = ("float_top1", "float_ci95", "quantized_top1", "quantized_ci95", "drop_pp", "drop_ci95", "mcnemar")
    assert [record[key] for key in nothing] == [None] * 7
    assert record["per_class"] == []
    assert len(record["flips"]) == len(labelled["flips"]) > 10
    assert {(flip["label"], flip["kind"]) for flip in record["flips"]} == {(None, None)}
    assert record["verdict"].startswith("quantized gives float's label to ")
    assert record["verdict"].endswith("which of the two is right there is not known without class folders.")
    assert compare(first, second, flat(pictures), limit=7).to_dict()["samples"] == 7
    with pytest.raises(DataError, match="flat has no images to measure on"):
        compare(first, second, flat(pictures), split="test")


def test_split_limit_and_unreadable_pictures() -> None:
    pictures = ColorPictures(train=3, val=4, test=5, broken=("test/blue/000", "test/red/003"))
    record = compare(classifier(), classifier(preprocess=SWAPPED), pictures.dataset).to_dict()
    assert (record["samples"], record["skipped"], record["split"]) == (48, 2, "test")
    assert [item["image"] for item in record["skipped_images"]] == ["test/blue/000", "test/red/003"]
    assert [c["support"] for c in record["per_class"]] == [5 - (name in ("blue", "red")) for name in NAMES]
    seen: list[tuple[int, int]] = []
    part = compare(
        classifier(), classifier(), pictures.dataset, split="train", limit=20, workers=1,
        progress=lambda *done: seen.append(done),
    )  # fmt: skip
    assert [change.support for change in part.per_class()] == [2] * 10
    assert (part.split, seen) == ("train", [(20, 20)])


def test_the_record_is_json(pair: tuple[ColorPictures, Classifier, Classifier, Comparison]) -> None:
    record = pair[3].to_dict()
    assert json.loads(json.dumps(record)) == record
    assert set(record["flips"][0]) == {"image", "label", "float", "quantized", "kind", "thumbnail"}
    assert set(record["per_class"][0]) == {
        "label", "index", "support", "float_recall", "quantized_recall", "recall_change_pp", "float_f1",
        "quantized_f1", "flips",
    }  # fmt: skip
    assert set(record["drift"]) == {"mean_abs", "p99_abs", "max_abs", "mean", "histogram", "width"}


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (
            table(7355, 193, 187, 2265),
            "int8 keeps float's accuracy: 75.42 % against 75.48 % on 10,000 images; 380 labels (3.8 %) differ, 193 to "
            "the bad and 187 to the good, which may be chance (McNemar p = 0.8).",
        ),
        (
            table(700, 60, 20, 220),
            "int8 loses 4.00 points of float's accuracy: 72.00 % against 76.00 % on 1,000 images; 80 labels (8.0 %) "
            "differ, 60 to the bad and 20 to the good (McNemar p < 0.001).",
        ),
        (
            table(700, 20, 38, 242),
            "int8 is right more often than float: 73.80 % against 72.00 % on 1,000 images; 58 labels (5.8 %) differ, "
            "20 to the bad and 38 to the good (McNemar p = 0.025).",
        ),
        (
            table(22, 1, 0, 1),
            "The accuracies of int8 and float cannot be told apart: 91.67 % against 95.83 % on 24 images, a loss of "
            "-6.7 to 14.4 points (95 %); 1 label (4.2 %) differs, 1 to the bad and 0 to the good, which may be chance "
            "(McNemar p = 1).",
        ),
        (table(9, 0, 0, 1), "int8 gives float's label to all of 10 images; 90.00 % of them are right."),
        (table(4, 0, 0, 6, labelled=False), "int8 gives float's label to all of 10 images."),
        (
            table(97, 3, 0, 0, labelled=False),
            "int8 gives float's label to 97.00 % of 100 images; 3 labels (3.0 %) differ, and which of the two is right "
            "there is not known without class folders.",
        ),
    ],
    ids=["keeps", "loses", "gains", "open", "same", "same unlabelled", "unlabelled"],
)  # fmt: skip
def test_the_verdict_says_what_the_numbers_do(comparison: Comparison, verdict: str) -> None:
    assert comparison.verdict == verdict


cells = st.integers(0, 200)


@settings(deadline=None)
@given(cells, cells, cells, cells)
def test_the_verdict_never_hides_a_loss(both: int, lost: int, won: int, neither: int) -> None:
    """ "keeps" stands only where a loss of more than a point is ruled out, "loses" only where chance is."""
    if both + lost + won + neither == 0:
        return
    comparison = table(both, lost, won, neither)
    counts, drop, bounds = comparison.outcomes, comparison.drop_pp, comparison.drop_ci95
    assert counts is not None
    assert drop is not None
    assert bounds is not None
    assert counts.both_right + counts.only_first + counts.only_second + counts.both_wrong == len(comparison.samples)
    assert bounds[0] <= drop + 1e-9
    assert drop <= bounds[1] + 1e-9 or abs(drop) == 100
    if " keeps " in comparison.verdict:
        assert bounds[1] <= 1
    if " loses " in comparison.verdict:
        assert drop > 0
        assert counts.p_value < 0.05
