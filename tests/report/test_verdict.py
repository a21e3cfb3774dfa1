"""The sentence a report opens with must follow from the numbers, and be loud where they are bad."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report import numbers as n
from edgecnn.report.sections.benchmark import judge_benchmarks
from edgecnn.report.sections.evaluation import judge_evaluations
from edgecnn.report.sections.live import judge_clip
from edgecnn.report.sections.sensitivity import judge_sensitivity
from edgecnn.report.verdict import judge_conversion
from tests.report import compressed, samples
from tests.report.samples import benchmark, scored


def headline(record: dict[str, Any]) -> tuple[str, str]:
    verdict = judge_conversion(record)
    return verdict.level, verdict.headline.replace(n.SPACE, " ")


def remarks(record: dict[str, Any]) -> str:
    return "\n".join(judge_conversion(record).remarks).replace(n.SPACE, " ")


@pytest.mark.parametrize(
    ("record", "level", "sentence"),
    [
        (
            scored(0.7548, 0.7563),
            "good",
            "int8 keeps 75.6 % top-1 (float 75.5 %), is 3.2 × smaller and 2.5 × faster on this machine.",
        ),
        (
            scored(0.7548, 0.7228, within_budget=False),
            "bad",
            "BUDGET MISSED: int8 loses 3.2 points of top-1 (72.3 %, float 75.5 %), is 3.2 × smaller and 2.5 × faster "
            "on this machine.",
        ),
        (
            scored(0.7548, 0.7228, within_budget=True),
            "bad",
            "BUDGET MISSED: int8 loses 3.2 points of top-1 (72.3 %, float 75.5 %), is 3.2 × smaller and 2.5 × faster "
            "on this machine.",
        ),
        (
            scored(0.7548, 0.7458, max_drop=1.0),
            "good",
            "int8 loses 0.9 points of top-1 (74.6 %, float 75.5 %), is 3.2 × smaller and 2.5 × faster on this machine.",
        ),
        (
            scored(0.7548, 0.7458, max_drop=None, benchmark=None),
            "warn",
            "int8 loses 0.9 points of top-1 (74.6 %, float 75.5 %) and is 3.2 × smaller. Its speed was not measured.",
        ),
        (
            scored(0.9, 0.1, max_drop=None),
            "bad",
            "int8 LOSES 80.0 points of top-1 (10.0 %, float 90.0 %), is 3.2 × smaller and 2.5 × faster on this "
            "machine.",
        ),
        (
            scored(0.9, 0.9, size_bytes=330_000, benchmark=[benchmark(0.2), benchmark(0.3)]),
            "warn",
            "int8 keeps 90.0 % top-1 (float 90.0 %), is NOT smaller (1.04 × float's size) and SLOWER than float "
            "on this machine (1.50 × its time).",
        ),
        (
            scored(0.9, 0.9, benchmark=[benchmark(0.2), benchmark(0.2)]),
            "warn",
            "int8 keeps 90.0 % top-1 (float 90.0 %), is 3.2 × smaller and NOT faster than float on this machine.",
        ),
        (
            scored(None, None, max_drop=None, benchmark=None),
            "plain",
            "int8 gives float's label on 97.0 % of 10,000 images without labels and is 3.2 × smaller. "
            "Its speed was not measured.",
        ),
        (
            scored(0.9, 0.9, quantize="float32", size_bytes=318_144, benchmark=[benchmark(0.2), benchmark(0.2)]),
            "plain",
            "The float32 output keeps 90.0 % top-1 (float 90.0 %), is as large as float and as fast as float "
            "on this machine.",
        ),
        (
            scored(0.9, 0.9, quantize="dynamic"),
            "good",
            "Dynamic int8 keeps 90.0 % top-1 (float 90.0 %), is 3.2 × smaller and 2.5 × faster on this machine.",
        ),
        (
            scored(0.9, 0.9, size_bytes=0, benchmark=[benchmark(0.0), benchmark(0.0)]),
            "plain",
            "int8 keeps 90.0 % top-1 (float 90.0 %) and has no measured size. Its speed was not measured.",
        ),
    ],
)
def test_the_headline_follows_from_the_numbers(record: dict[str, Any], level: str, sentence: str) -> None:
    assert headline(record) == (level, sentence)


@given(before=st.floats(0, 1), after=st.floats(0, 1), size=st.integers(1, 10**6), p50=st.floats(1e-3, 1))
def test_good_is_said_only_of_a_model_that_is_as_right_smaller_and_faster(
    before: float, after: float, size: int, p50: float
) -> None:
    record = scored(before, after, size_bytes=size, max_drop=None, benchmark=[benchmark(0.25), benchmark(p50)])
    if judge_conversion(record).level == "good":
        assert before - after <= 0.005 + 1e-9
        assert size < record["float_size_bytes"]
        assert p50 < 0.25


@pytest.mark.parametrize(
    ("record", "remark"),
    [
        (scored(0.7548, 0.7563), "On 10,000 images the change of +0.15 points is within what chance explains (±0.34"),
        (scored(0.7548, 0.7458), "the change of \u22120.90 points is more than what chance explains (±0.34, 95 %)."),
        (scored(0.7548, 0.7563), "No top-1 was lost; the budget allows 1 point."),
        (scored(0.7548, 0.7458), "The loss of top-1 is 0.90 points; the budget allows 1 point."),
        (scored(None, None, max_drop=0.5), "The budget of 0.5 points could not be checked: the data had no labels."),
        (scored(0.9, 0.9, layers_kept_float=["dense"]), "1 layer was kept in float to hold the accuracy."),
        (scored(0.9, 0.9), "preprocessing included, it takes 0.150 ms instead of 0.300 ms (2.0 × faster)."),
    ],
)
def test_remarks_tell_what_the_headline_leaves_out(record: dict[str, Any], remark: str) -> None:
    assert remark in remarks(record)


@pytest.mark.parametrize(
    ("record", "alarm"),
    [
        (scored(0.34, 0.34), "the float model itself cannot be told from guessing, which gets 33.3 % right"),
        (scored(1.0, 1.0, samples=1), "On 1 image the float model itself cannot be told from guessing"),
        (
            samples.conversion(parity={"samples": 16, "max_abs_difference": 0.2, "tolerance": 1e-4}),
            "The converted model computes something else than the Keras model: outputs differ by up to 0.2",
        ),
        (
            samples.conversion(
                evaluation={key: samples.evaluation([[40, 0, 0], [3, 1, 1], [3, 1, 1]]) for key in ("float", "output")},
                accuracy={"float": 0.84, "output": 0.84, "drop_pp": 0, "agreement": 1, "samples": 50, "split": "test"},
            ),
            "On 50 images the float model itself cannot be told from guessing, which gets 80.0 % right",
        ),
    ],
)
def test_a_result_that_means_nothing_is_not_good(record: dict[str, Any], alarm: str) -> None:
    assert judge_conversion(record).level == "bad"
    assert remarks(record).startswith(alarm) or alarm in remarks(record).splitlines()[0]


@pytest.mark.parametrize(
    ("record", "level", "sentence"),
    [
        (compressed.compressed(), "good", "The rung “float-layers, 1 layer” kept the budget of 0.5 points."),
        (
            compressed.compressed(ladder=compressed.ladder(taken=0, inside=False), within_budget=False),
            "bad",
            "No rung of the ladder kept the budget of 0.5 points for sure; “int8” was taken. "
            "It loses at most 0.70, by its 95 % interval.",
        ),
        (
            scored(0.9, 0.88, max_drop=None, ladder=compressed.ladder()),
            "bad",
            "The rung “float-layers, 1 layer” kept the budget of 0.5 points where rungs are judged, but not here.",
        ),
        (scored(0.9, 0.9, ladder=compressed.ladder(taken=7)), "good", "on this machine."),
    ],
)
def test_the_rung_that_kept_the_budget_is_named(record: dict[str, Any], level: str, sentence: str) -> None:
    found, words = headline(record)
    assert (found, words.startswith("BUDGET MISSED")) == (level, level == "bad")
    assert words.endswith(sentence)


def test_a_ladder_without_labels_says_how_it_was_judged() -> None:
    told = remarks(scored(None, None, max_drop=None, ladder=compressed.ladder()))
    assert "Without labels the ladder counts every label that changed as a loss." in told
    assert "could not be checked" not in told


def test_the_layer_that_costs_most_is_named_and_what_chance_explains() -> None:
    verdict = judge_sensitivity(compressed.sensitivity())
    assert verdict.headline.replace(n.SPACE, " ") == (
        "stem moves the probabilities most: alone in int8 it changes the label of 4.0 % of 1,000 images; "
        "top-1 changes by \u22122.50 points."
    )
    assert [remark.replace(n.SPACE, " ") for remark in verdict.remarks] == [
        "1 layer cannot be quantized alone.",
        "For 1 of 2 layers the change of top-1 is more than what chance explains on 1,000 images (95 %).",
    ]


def test_a_sensitivity_without_labels_or_without_layers_says_so() -> None:
    layers = compressed.ladder()["sensitivity"]
    verdict = judge_sensitivity(compressed.sensitivity(float_top1=None, layers=layers))
    assert "top-1" not in verdict.headline
    assert "The images had no labels" in verdict.remarks[-1]
    harmless = compressed.sensitivity(layers=[compressed.layer(agreement=1.0, top1_drop=0.0)])
    assert judge_sensitivity(harmless).headline.startswith("No layer alone changes a label on")
    assert judge_sensitivity(compressed.sensitivity(layers=layers[2:])).headline == "No layer could be quantized alone."


def test_evaluations_name_the_best_and_whether_the_order_may_be_chance() -> None:
    close = [samples.evaluation(model=f"{name}.tflite", top1=top1, top1_ci95=None, samples=1000, skipped=0)
             for name, top1 in (("a", 0.80), ("b", 0.81))]  # fmt: skip
    verdict = judge_evaluations(close)
    assert verdict.headline.replace(n.SPACE, " ").startswith(
        "Best of 2 models: b.tflite is right on 81.0 % of 1,000 images"
    )
    assert verdict.remarks == ("The intervals of the first two overlap: which of them is better may be chance.",)
    assert judge_evaluations([close[0], close[1] | {"top1": 0.95}]).remarks == ()
    assert "different data" in judge_evaluations([close[0], close[1] | {"data": "others"}]).remarks[0]


def test_an_evaluation_without_labels_has_no_accuracy() -> None:
    assert judge_evaluations([samples.evaluation(top1=None)]).headline.startswith("No accuracy was measured")


def test_benchmarks_name_the_fastest_and_other_machines() -> None:
    pair = [benchmark(0.4, model="slow.tflite"), benchmark(0.1, model="fast.tflite")]
    verdict = judge_benchmarks(pair)
    assert verdict.headline.replace(n.SPACE, " ") == (
        "fast.tflite takes 0.100 ms an inference (median of 200 runs, 1 thread). slow.tflite takes 4.0 × as long."
    )
    assert verdict.remarks == ()
    assert "different machines" in judge_benchmarks([pair[0], pair[1] | {"machine": {"cpu": "Other"}}]).remarks[0]


def test_a_clip_counts_only_frames_with_a_known_label() -> None:
    frames = samples.demo()["frames"]
    told = [
        judge_clip(samples.demo(frames=some)).headline.replace(n.SPACE, " ")
        for some in (frames, frames[:2], frames[2:])
    ]
    assert told == [
        "1 of the 2 frames here with a known label got the right label.",
        "1 of the 2 frames here got the right label.",
        "1 frame here; the true labels are not known.",
    ]
    assert judge_clip(samples.demo(summary="every 9th frame is shown")).remarks == ("every 9th frame is shown",)
