"""A gate fails exactly where a rule says so, and never because nobody looked."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.errors import EdgecnnError, ResultError
from edgecnn.measure.gate import check, doubts, find_baseline, parse_rules

KEYS = {
    "p50": "p50_ms", "p90": "p90_ms", "p99": "p99_ms", "mean": "mean_ms", "min": "min_ms", "init": "init_ms",
    "first": "first_ms", "size": "size_bytes", "memory": "peak_rss_mb", "top1": "top1",
}  # fmt: skip


def timed(model: str = "a.tflite", threads: int = 1, **changes: Any) -> dict[str, Any]:
    figures = dict.fromkeys(KEYS.values(), 10.0) | {"size_bytes": 1000, "top1": None}
    machine = {"machine": {"cpu": "Cortex-A72"}}
    return {"schema": "edgecnn.benchmark/1", "model": model, "threads": threads} | figures | machine | changes


def scored(model: str = "a.tflite", top1: float | None = 0.8) -> dict[str, Any]:
    return {"schema": "edgecnn.evaluate/1", "model": model, "top1": top1, "samples": 500}


def passed(rules: str, before: dict[str, Any], after: dict[str, Any]) -> list[bool]:
    return [result.passed for result in check(parse_rules(rules), before, after)]


@settings(deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.integers(0, 300))
def test_percent_is_of_the_baseline(key: str, before: float, after: float, limit: int) -> None:
    change = 100 * (after - before) / before
    rise, fall = passed(f"{key}>+{limit}%,{key}<-{limit}%", {KEYS[key]: before}, {KEYS[key]: after})
    if abs(abs(change) - limit) > 1e-6:
        assert rise == (change <= limit)
        assert fall == (change >= -limit)


@settings(deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_without_percent_it_is_the_unit_of_the_figure(key: str, before: float, after: float, limit: float) -> None:
    scale = 100 if key == "top1" else 1  # percentage points
    change = scale * (after - before)
    rise, fall = passed(f"{key}>+{limit:.6f},{key}<-{limit:.6f}", {KEYS[key]: before}, {KEYS[key]: after})
    if abs(abs(change) - limit) > 1e-5:
        assert rise == (change <= limit)
        assert fall == (change >= -limit)


def test_exactly_the_limit_passes() -> None:
    assert passed("p50>+10%,p50>+1", {"p50_ms": 10.0}, {"p50_ms": 11.0}) == [True, True]
    assert passed("top1<-1", {"top1": 0.71}, {"top1": 0.70}) == [True]  # 0.71 - 0.70 is a little more than 0.01
    assert passed("size>+0", {"size_bytes": 1000}, {"size_bytes": 1000}) == [True]
    assert passed("size>+0", {"size_bytes": 1000}, {"size_bytes": 1001}) == [False]


def test_what_is_told_of_each_rule() -> None:
    rules = parse_rules(" p50>+10% , top1 < -1, size>+50, memory>+1.5")
    before = {"p50_ms": 2.0, "top1": 0.9, "size_bytes": 1000, "peak_rss_mb": 40.0}
    now = {"p50_ms": 2.5, "top1": 0.885, "size_bytes": 1040, "peak_rss_mb": 41.0}
    assert [result.to_dict() for result in check(rules, before, now)] == [
        {"rule": "p50>+10%", "baseline": 2.0, "value": 2.5, "change": "+25.0 %", "passed": False},
        {"rule": "top1 < -1", "baseline": 0.9, "value": 0.885, "change": "-1.5 pp", "passed": False},
        {"rule": "size>+50", "baseline": 1000.0, "value": 1040, "change": "+40 B", "passed": True},
        {"rule": "memory>+1.5", "baseline": 40.0, "value": 41.0, "change": "+1 MB", "passed": True},
    ]


def test_what_the_machine_does_not_tell_passes_nothing() -> None:
    (result,) = check(parse_rules("memory>+50%"), {"peak_rss_mb": 40.0}, {"peak_rss_mb": None})
    assert (result.value, result.change, result.passed) == (None, None, False)


def test_a_baseline_of_nothing() -> None:
    assert passed("top1>+5%,top1<-5%", {"top1": 0.0}, {"top1": 0.0}) == [True, True]
    assert passed("top1>+5%,top1<-5%", {"top1": 0.0}, {"top1": 0.5}) == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p50",
        "p50>10%",
        "p50>-10%",
        "p50<+10%",
        "p50=+1",
        "p50>+x",
        "p50>+1%%",
        "p50>+1,",
        "p50>+\u0661",
        "p50>+nan",
    ],
)
def test_rules_that_are_none(text: str) -> None:
    with pytest.raises(EdgecnnError, match=r"expected rules such as p50>\+10% \(percent\) or top1<-1 \(points\), got "):
        parse_rules(text)


def test_a_rule_about_something_unknown() -> None:
    with pytest.raises(EdgecnnError, match=r"about one of p50, p90, p99, .*, top1, got 'top5'"):
        parse_rules("p50>+1%,top5<-1")


def test_a_model_is_found_by_file_name_and_threads() -> None:
    records = [
        timed("old/a.tflite", 1, p50_ms=1),
        timed("old/a.tflite", 2, p50_ms=2),
        timed("old/b.tflite", 1, p50_ms=3),
    ]
    rules = parse_rules("p50>+1%")
    found = [
        find_baseline(records, rules, f"new/{name}.tflite", threads)["p50_ms"] for name, threads in (("a", 2), ("b", 1))
    ]
    assert found == [2, 3]
    with pytest.raises(ResultError, match=r"no benchmark of b\.tflite with 2 thread\(s\); it has: a\.tflite with 1, a"):
        find_baseline(records, rules, "b.tflite", 2)
    with pytest.raises(ResultError, match=r"no benchmark of c\.tflite with 1 thread\(s\)"):
        find_baseline(records, rules, "c.tflite", 1)


def test_two_files_of_one_name_are_told_apart_by_their_path() -> None:
    records, rules = [timed("x/a.tflite", p50_ms=1), timed("y/a.tflite", p50_ms=2)], parse_rules("p50>+1%")
    assert find_baseline(records, rules, "y/a.tflite", 1)["p50_ms"] == 2
    with pytest.raises(ResultError, match=r"has 2 benchmark records of a\.tflite; keep one"):
        find_baseline(records, rules, "z/a.tflite", 1)


def test_top1_stands_in_an_evaluation_or_in_a_benchmark() -> None:
    rules = parse_rules("top1<-1")
    assert find_baseline([scored()], rules, "dir/a.tflite", 4) == {"top1": 0.8, "samples": 500}
    assert find_baseline([timed(top1=0.7)], rules, "a.tflite", 1)["top1"] == 0.7
    assert find_baseline([timed(top1=0.7), scored()], rules, "a.tflite", 1)["top1"] == 0.8
    both = find_baseline([timed(), scored(), scored("b.tflite", 0.1)], parse_rules("p50>+1%,top1<-1"), "a.tflite", 1)
    assert (both["p50_ms"], both["top1"]) == (10.0, 0.8)
    for records in ([timed()], [scored(top1=None)], [timed(), scored("b.tflite")]):
        with pytest.raises(ResultError, match=r"does not tell top1 of a\.tflite, .*; add the JSON of edgecnn evaluate"):
            find_baseline(records, rules, "a.tflite", 1)


def test_a_figure_that_the_baseline_lacks_is_told_beforehand() -> None:
    with pytest.raises(ResultError, match=r"does not tell memory of a\.tflite, which memory>\+5% needs$"):
        find_baseline([timed(peak_rss_mb=None)], parse_rules("p50>+1%,memory>+5%"), "a.tflite", 1)


def test_what_was_not_the_same_is_told() -> None:
    here = timed()
    assert doubts(timed(), here) == ()
    assert doubts(timed(machine={"cpu": None}), here) == ()
    assert doubts({"top1": 0.8}, here, 100) == ()
    assert doubts(timed(samples=100), here, 100) == ()
    assert doubts(timed(machine={"cpu": "Ryzen"}, samples=10_000), here, 500) == (
        "the baseline was timed on Ryzen, this is Cortex-A72; times of two machines cannot be compared",
        "the baseline's top-1 is of 10,000 images, this one of 500",
    )
