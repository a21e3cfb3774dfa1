"""Accuracy on labelled pictures, against one-by-one answers and scikit-learn."""

import json
import time
from collections import Counter

import numpy as np
import pytest
from sklearn import metrics as reference

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from edgecnn.measure.evaluate import evaluate, labelled_task, summarize
from edgecnn.measure.intervals import wilson_interval
from edgecnn.measure.score import Scores, score
from edgecnn.runtime.classifier import Classifier
from tests.measure.colors import NAMES, ColorPictures, nearest_color

UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
# The colour order is wrong, so that about half of the answers are.
HALF_WRONG = Preprocess(4, 4, "bgr", *NORMALIZATIONS["unit"])


def classifier(classes: tuple[str, ...] = NAMES, preprocess: Preprocess = UNIT) -> Classifier:
    """Right under UNIT, whatever it is run with."""
    return Classifier(nearest_color(UNIT, classes=classes), labels=classes, preprocess=preprocess)


def test_every_figure_is_that_of_scikit_learn() -> None:
    pictures, model = ColorPictures(test=13), classifier(preprocess=HALF_WRONG)
    started = time.perf_counter()
    result = evaluate(model, pictures.dataset)
    seconds = time.perf_counter() - started
    samples = pictures.dataset.split("test")
    truth = np.array([sample.label for sample in samples])
    rows = np.stack([model.probabilities(pictures.picture(sample.name)) for sample in samples])
    predicted = np.argmax(rows, axis=1)
    assert 0.3 < result.top1 < 0.7
    assert result.top1 == pytest.approx(reference.accuracy_score(truth, predicted), abs=1e-12)
    assert result.top5 == pytest.approx(reference.top_k_accuracy_score(truth, rows, k=5), abs=1e-12)
    macro = reference.precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0.0)
    assert (result.precision, result.recall, result.f1) == pytest.approx(macro[:3], abs=1e-12)
    weighted = reference.precision_recall_fscore_support(truth, predicted, average="weighted", zero_division=0.0)
    assert result.weighted == pytest.approx(weighted[:3], abs=1e-12)
    sides = np.eye(10)[truth]
    assert result.roc_auc == pytest.approx(reference.roc_auc_score(sides, rows, average="macro"), abs=1e-12)
    assert result.average_precision == pytest.approx(reference.average_precision_score(sides, rows), abs=1e-12)
    for m, side, column in zip(result.per_class, sides.T, rows.T, strict=True):
        expected = reference.roc_auc_score(side, column), reference.average_precision_score(side, column)
        assert (m.roc_auc, m.average_precision) == pytest.approx(expected, abs=1e-12)
    assert result.curves is None
    wide = rows.astype(np.float64)
    assert result.calibration.brier == pytest.approx(np.mean(np.sum((wide - sides) ** 2, axis=1)), abs=1e-12)
    assert result.intervals.top1 == pytest.approx(result.top1_ci95, abs=0.02)
    assert result.intervals.ece[0] <= result.calibration.ece <= result.intervals.ece[1]
    assert result.confusion == tuple(map(tuple, reference.confusion_matrix(truth, predicted).tolist()))
    assert result.top1_ci95 == wilson_interval(int(np.sum(truth == predicted)), 130)
    assert [m.support for m in result.per_class] == [13] * 10
    assert (result.labels, result.samples, result.skipped) == (NAMES, 130, ())
    assert result.images_per_second is not None
    assert result.images_per_second >= 130 / seconds


@pytest.mark.parametrize("labels", [NAMES[::-1], tuple(name.upper() for name in NAMES[3:] + NAMES[:3])])
def test_labels_may_stand_in_another_order_than_folders(labels: tuple[str, ...]) -> None:
    classes = tuple(name.lower() for name in labels)
    model = Classifier(nearest_color(UNIT, classes=classes), labels=labels, preprocess=HALF_WRONG)
    result, plain = evaluate(model, ColorPictures(test=6).dataset), evaluate(
        classifier(preprocess=HALF_WRONG), ColorPictures(test=6).dataset
    )  # fmt: skip
    assert result.labels == labels
    assert (result.top1, result.top5) == (plain.top1, plain.top5)
    order = [NAMES.index(name) for name in classes]
    np.testing.assert_array_equal(result.confusion, np.array(plain.confusion)[np.ix_(order, order)])


def test_classes_the_model_does_not_know_are_left_out_and_told() -> None:
    known = tuple(name for name in NAMES if name not in ("cyan", "white"))
    pictures = ColorPictures(test=5)
    task = labelled_task(pictures.dataset, known, "test")
    assert task.notes == ("classes the model does not know are left out: cyan, white",)
    assert Counter(known[sample.label or 0] for sample in task.samples) == dict.fromkeys(known, 5)
    assert all(sample.name.split("/")[1] == known[sample.label or 0] for sample in task.samples)
    result = evaluate(classifier(known), pictures.dataset)
    assert (result.samples, result.top1) == (40, 1.0)
    assert not [name for name in pictures.names_read if "cyan" in name or "white" in name]


def test_classes_the_data_does_not_have_count_for_nothing() -> None:
    result = evaluate(classifier(), ColorPictures(("red", "green"), test=5).dataset)
    assert (result.top1, result.precision, result.recall, result.f1) == (1.0, 1.0, 1.0, 1.0)
    assert {label: m.support for label, m in zip(result.labels, result.per_class, strict=True) if m.support} == {
        "green": 5, "red": 5,
    }  # fmt: skip
    assert labelled_task(ColorPictures(("red", "green"), test=5).dataset, NAMES, "test").notes == ()


@pytest.mark.parametrize("limit", [1, 7, 10, 25, 69])
def test_a_limit_is_balanced_over_classes(limit: int) -> None:
    pictures = ColorPictures(test=7)
    result = evaluate(classifier(), pictures.dataset, limit=limit)
    supports = [m.support for m in result.per_class]
    assert result.samples == len(pictures.names_read) == sum(supports) == limit
    assert max(supports) - min(supports) <= 1


def test_a_limit_beyond_the_data_changes_nothing() -> None:
    dataset = ColorPictures(test=7).dataset
    for limit in (None, 70, 1000):
        assert labelled_task(dataset, NAMES, "test", limit=limit).samples == dataset.split("test")
    assert labelled_task(dataset, NAMES, "test", limit=0).samples == ()


@pytest.mark.parametrize(("test", "split", "read"), [(2, None, "test"), (0, None, "val"), (2, "train", "train")])
def test_the_split_is_test_or_else_val(test: int, split: str | None, read: str) -> None:
    pictures = ColorPictures(train=3, val=4, test=test)
    evaluate(classifier(), pictures.dataset, split=split)
    assert {name.split("/")[0] for name in pictures.names_read} == {read}


def test_unreadable_pictures_are_counted_and_listed() -> None:
    broken = ("test/blue/000", "test/red/003")
    result = evaluate(classifier(), ColorPictures(test=4, broken=broken).dataset)
    assert (result.samples, result.top1) == (38, 1.0)
    record = result.to_dict()
    assert record["skipped"] == 2
    assert record["skipped_images"] == [{"image": n, "reason": f"{n}: broken on purpose"} for n in broken]


def test_the_record_is_json_with_the_promised_keys() -> None:
    record = evaluate(classifier(preprocess=HALF_WRONG), ColorPictures(test=3).dataset).to_dict()
    assert json.loads(json.dumps(record)) == record
    promised = "samples skipped top1 top5 precision recall f1 per_class confusion images_per_second"
    assert set(promised.split()) <= record.keys()
    assert [item["label"] for item in record["per_class"]] == list(NAMES)
    assert [item["index"] for item in record["per_class"]] == list(range(10))
    of_a_class = "label index precision recall f1 support predicted roc_auc average_precision"
    assert set(record["per_class"][0]) == set(of_a_class.split())
    averages = {key: record[key] for key in ("precision", "recall", "f1")}
    assert record["averages"]["macro"] == averages
    assert record["averages"]["weighted"].keys() == averages.keys()
    assert record["curves"] is None
    assert (len(record["calibration"]["bins"]), record["bootstrap"]) == (15, {"resamples": 1000, "seed": 0})
    assert record["intervals"].keys() == {"top1", "precision", "recall", "f1", "ece"}
    assert np.array(record["confusion"]).sum() == record["samples"] == 30


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(classifier(), ColorPictures(test=4).dataset, workers=1, progress=lambda *pair: seen.append(pair))
    assert seen == [(32, 40), (40, 40)]


def test_a_second_model_of_the_pass_is_summed_up_too() -> None:
    dataset = ColorPictures(test=4).dataset
    scores = score([classifier(), classifier(preprocess=HALF_WRONG)], dataset, dataset.split("test"))
    first, second = (summarize(scores, NAMES, model=i) for i in (0, 1))
    assert first.top1 == 1.0
    assert second.top1 == evaluate(classifier(preprocess=HALF_WRONG), dataset).top1 < 1.0
    assert second.images_per_second is None


def test_few_classes_are_always_among_the_best_five() -> None:
    classes = ("black", "white")
    dataset = ColorPictures(classes, test=4).dataset
    rows = np.array([[0.0, 1.0]] * 8, np.float32)
    result = summarize(Scores(dataset.split("test"), (rows,), (), 1.0), classes)
    assert (result.top1, result.top5) == (0.5, 1.0)


def scored(rows: list[list[float]], labels: list[int]) -> Scores:
    samples = tuple(Sample(str(i), label) for i, label in enumerate(labels))
    return Scores(samples, (np.array(rows, np.float32),), (), 1.0)


def test_of_two_classes_the_second_is_the_positive_one() -> None:
    second, truth = [0.2, 0.6, 0.6, 0.9, 0.1], [0, 1, 0, 1, 1]
    result = summarize(scored([[0.5, p] for p in second], truth), ("cat", "dog"))  # 8-bit scores need not add up to 1
    expected = reference.roc_auc_score(truth, second), reference.average_precision_score(truth, second)
    assert (result.roc_auc, result.average_precision) == pytest.approx(expected, abs=1e-12)
    assert [(m.roc_auc, m.average_precision) for m in result.per_class] == [
        pytest.approx((0.5, 0.4), abs=1e-12),
        pytest.approx(expected, abs=1e-12),
    ]
    assert result.curves is not None
    assert result.curves.positive == "dog"
    assert result.curves.roc[:2] == ((0.0, 0.0), (0.0, 0.333333))
    weighted = reference.precision_recall_fscore_support(truth, [0, 1, 1, 1, 0], average="weighted", zero_division=0.0)
    assert result.weighted == pytest.approx(weighted[:3], abs=1e-12)
    record = result.to_dict()
    assert list(record["averages"]["weighted"].values()) == list(result.weighted)
    assert result.weighted[0] != result.precision
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("classes", [("cat", "dog"), ("cat", "dog", "fox")])
def test_samples_of_one_class_have_no_curve(classes: tuple[str, ...]) -> None:
    result = summarize(scored([[0.5, 0.25, 0.25][: len(classes)]] * 3, [0, 0, 0]), classes)
    assert (result.top1, result.roc_auc, result.average_precision, result.curves) == (1.0, None, None, None)
    record = result.to_dict()
    assert [entry["roc_auc"] for entry in record["per_class"]] == [None] * len(classes)


def test_classes_without_samples_do_not_count_in_the_area() -> None:
    result = summarize(scored([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]], [0, 1, 1]), ("cat", "dog", "fox"))
    assert [m.roc_auc for m in result.per_class] == [1.0, 1.0, None]
    assert (result.roc_auc, result.average_precision) == (1.0, 1.0)


def test_scores_that_are_no_numbers_count_as_0() -> None:
    """A float16 model may overflow; its figures are those of a model that says nothing, and JSON can hold them."""
    result = summarize(scored([[0.1, 0.8, 0.1], [np.nan] * 3, [0.7, 0.2, 0.1]], [1, 0, 0]), ("cat", "dog", "fox"))
    assert result.calibration.bins[0].count == 1
    assert result.calibration.nll == pytest.approx(-np.log(0.8 * 2.0**-23 * 0.7) / 3, abs=1e-6)
    json.dumps(result.to_dict(), allow_nan=False)


def test_what_cannot_be_measured_is_an_error() -> None:
    with pytest.raises(DataError, match=r"none of the classes .* is a label of the model"):
        evaluate(classifier(("red", "blue")), ColorPictures(("white", "black"), test=2).dataset)
    with pytest.raises(DataError, match=r"^the train split of colours has no image of a class that the model knows$"):
        evaluate(classifier(), ColorPictures(test=2).dataset, split="train")
    with pytest.raises(DataError, match=r"^colours has no images in val or test to measure on$"):
        evaluate(classifier(), ColorPictures(train=2).dataset)
    with pytest.raises(DataError, match="expected a split of train, val, test, got 'dev'"):
        evaluate(classifier(), ColorPictures(test=2).dataset, split="dev")
    flat = Dataset("flat", (), {"train": (), "val": (), "test": ()}, ColorPictures().picture)
    with pytest.raises(DataError, match=r"^flat has no class folders; accuracy needs labelled images$"):
        labelled_task(flat, NAMES, "test")
