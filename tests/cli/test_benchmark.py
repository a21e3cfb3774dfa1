"""`edgecnn benchmark`: several models in turn, several numbers of threads."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from edgecnn.cli.timings import show_benchmark
from edgecnn.errors import ModelError
from edgecnn.files import sha256_bytes, sha256_path
from edgecnn.report.results import parse_results

Run = Callable[..., Result]
QUICK = ("--runs", "4", "--warmup", "1")
CONTRACT = {
    "model": str, "sha256": str, "size_bytes": int, "threads": int, "runs": int, "init_ms": float, "first_ms": float,
    "min_ms": float, "p50_ms": float, "p90_ms": float, "p99_ms": float, "mean_ms": float, "peak_rss_mb": float,
    "stages": dict, "machine": dict,
}  # fmt: skip


def test_every_key_of_the_contract(edgecnn: Run, place: Path) -> None:
    models = ("int8.tflite", "float.tflite")
    records = json.loads(edgecnn("benchmark", *models, "--threads", "1,2", *QUICK, "--json").stdout)
    assert [(record["model"], record["threads"]) for record in records] == [
        ("int8.tflite", 1), ("float.tflite", 1), ("int8.tflite", 2), ("float.tflite", 2),
    ]  # fmt: skip
    for record in records:
        assert {key: type(record[key]) for key in CONTRACT} == CONTRACT
        assert record["sha256"] == sha256_path(place / record["model"])
        assert record["size_bytes"] == (place / record["model"]).stat().st_size
        assert record["runs"] == 4
        assert record["min_ms"] <= record["p50_ms"] <= record["p90_ms"] <= record["p99_ms"]
        assert record["stages"].keys() == {"preprocess_ms", "invoke_ms", "postprocess_ms"}


def test_a_keras_model_is_timed_as_float_tflite(edgecnn: Run) -> None:
    record = json.loads(edgecnn("benchmark", "model.keras", *QUICK, "--json").stdout)[0]
    assert record["size_bytes"] < 5000  # the .keras file is larger
    assert record["sha256"] != sha256_bytes(b"")


def test_a_picture_of_ones_own_and_labels_are_taken(edgecnn: Run) -> None:
    for options in (("--image", "red.png"), ("--labels", "labels.txt"), ("--preprocess", "unit,bgr")):
        assert edgecnn("benchmark", "float.tflite", *QUICK, *options).exit_code == 0


def test_what_is_shown(edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", "float.tflite", *QUICK)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["model", "threads", "p50", "p90", "p99", "first", "memory", "ratio", "95", "%"]
    assert [line.split()[0] for line in lines[1:3]] == ["int8.tflite", "float.tflite"]
    assert lines[1].endswith("1.00")
    assert re.search(r"MB +\d+\.\d\d  \d+\.\d\d to \d+\.\d\d$", lines[2])
    text = " ".join(line.strip() for line in lines[4:])
    assert re.search(r"^Milliseconds an inference over 4 runs after \d+ of warm-up, on noise 1280x720\. Ratio:", text)
    assert re.search(r"First row: min .* GMAC/s .* cores, load", text)
    assert "time 2 rows in turn" in result.stderr


def test_one_model_has_no_ratio(edgecnn: Run) -> None:
    lines = edgecnn("benchmark", "int8.tflite", *QUICK).stdout.splitlines()
    assert lines[0].split() == ["model", "threads", "p50", "p90", "p99", "first", "memory"]
    assert "Ratio" not in " ".join(lines)


def test_rows_and_what_they_ran_on(edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", "float.tflite", "--threads", "1,2", "--data", "data", *QUICK, "--json")
    records = parse_results(result.stdout, "the records")
    assert {record["input"] for record in records} == {"12 images of data"}
    assert "ratio" not in records[0]
    for record in records[1:]:
        ratio = record["ratio"]
        assert (ratio["to"], ratio["to_threads"], ratio["rounds"]) == ("int8.tflite", 1, 4)
        assert ratio["undisturbed"] > 0
        assert ratio["value"] == pytest.approx(records[0]["p50_ms"] / record["p50_ms"])
        assert ratio["ci95"][0] <= ratio["value"] <= ratio["ci95"][1]
    for record in records:
        assert record["warmup"]["runs"] >= 1
        assert record["gmacs_per_s"] == pytest.approx(record["macs"] / record["p50_ms"] / 1e6)


def test_pictures_of_every_kind(edgecnn: Run) -> None:
    for options, source in ((("--image", "red.png"), "image red.png"), (("--data", "flat"), "9 images of flat")):
        records = json.loads(edgecnn("benchmark", "int8.tflite", *QUICK, *options, "--json").stdout)
        assert records[0]["input"] == source
    both = edgecnn("benchmark", "int8.tflite", "--image", "red.png", "--data", "data")
    assert (both.exit_code, "--image and --data" in both.stderr) == (2, True)


def test_operators_peak_and_minutes(edgecnn: Run) -> None:
    arguments = ("int8.tflite", *QUICK, "--profile", "--sustained", "0.3", "--interval", "0.1")
    result = edgecnn("benchmark", *arguments, "--json")
    (record,) = parse_results(result.stdout, "the record")
    assert sum(operator["ms"] for operator in record["profile"]["operators"]) == pytest.approx(
        record["profile"]["total_ms"], rel=1e-3
    )
    assert record["peak"]["dtype"] == "int8"
    assert record["peak"]["share"] == pytest.approx(record["gmacs_per_s"] / record["peak"]["gmacs_per_s"])
    assert [moment["seconds"] for moment in record["sustained"]][-1] == pytest.approx(0.3, abs=0.25)
    assert "time the operators of int8.tflite" in result.stderr


def test_how_operators_and_minutes_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    operators = [
        {"index": i, "op": "CONV_2D", "name": f"block_{i}/convolution", "ms": 0.1 * i, "share": i / 66, "macs": None}
        for i in range(12)
    ]
    moments = [
        {"seconds": 5.0, "runs": 1200, "p50_ms": 4.0, "p99_ms": 5.5}
        | {"temperature_c": 61.25, "clock_mhz": 1500.0, "throttled": False},
        {"seconds": 10.0, "runs": 900, "p50_ms": 5.0, "p99_ms": 9.0}
        | {"temperature_c": None, "clock_mhz": None, "throttled": None},
    ]
    profile = {"total_ms": 6.6, "method": "a clock", "operators": operators}
    peak = {"gmacs_per_s": 20.0, "share": 0.25, "dtype": "int8"}
    show_benchmark([shown("a.tflite", profile=profile, peak=peak, sustained=moments)])
    out = capsys.readouterr().out
    assert "a.tflite, 1 thread: 6.600 ms in 12 operators\n" in out
    assert out.index("block_11/") < out.index("block_3/") < out.index("and 2 more with 1.5%")
    assert "block_1/" not in out
    assert "5.0 GMAC/s, 25% of what a core can do: one reaches 20.0 in int8\n  measured by a clock\n" in out
    assert re.search(r"5 s +1,200 +4\.000 +5\.500 +61\.2 °C +1500 MHz +no\n +10 s +900 +5\.000 +9\.000( +\?){3}\n", out)


def test_a_model_whose_operators_cannot_be_timed(edgecnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(content: bytes, **options: Any) -> None:
        raise ModelError("operators that cannot run alone")

    monkeypatch.setattr("edgecnn.measure.profile.profile", fails)
    result = edgecnn("benchmark", "int8.tflite", *QUICK, "--profile", "--json")
    assert result.exit_code == 0
    assert "profile" not in json.loads(result.stdout)[0]
    assert "note: no profile of int8.tflite: operators that cannot run alone" in result.stderr


def shown(model: str, threads: int = 1, **changes: Any) -> dict[str, Any]:
    """A record with what the table needs."""
    times = dict.fromkeys(("init_ms", "first_ms", "min_ms", "p50_ms", "p90_ms", "p99_ms", "mean_ms"), 1.5)
    stages = dict.fromkeys(("preprocess_ms", "invoke_ms", "postprocess_ms"), 0.5)
    machine = {"cpu": "Cortex-A72", "cores": 4, "load": 0.1, "platform": "Linux"}
    work = {"macs": 7_500_000, "gmacs_per_s": 5.0, "peak_rss_mb": 40.2}
    record = {"model": model, "threads": threads, "runs": 200, "stages": stages, "machine": machine, "input": "noise"}
    return record | times | work | {"warmup": {"runs": 20, "steady": True}} | changes


@pytest.mark.parametrize("longest", [0.05, 9.5, 950.0, 99_999.0])
@pytest.mark.parametrize(
    "names", [("a.tflite", "b.tflite"), ("mobilenet_v2_1.0_float32.tflite", "x/y.tflite", "z/y.tflite")]
)
def test_eight_rows_fit_80_columns(longest: float, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    ratio = {"value": 12.34, "ci95": [11.11, 13.13], "undisturbed": 12.34, "rounds": 200}
    gate = [
        {"rule": "p50>+10%", "baseline": longest, "value": longest, "change": "+0.0 %", "passed": True},
        {"rule": "top1<-1", "baseline": 0.9, "value": None, "change": None, "passed": False},
        {"rule": "size>+1000", "baseline": 98_496, "value": 98_496.0, "change": "+0 B", "passed": True},
    ]
    rows = [
        shown(name, threads, p99_ms=longest, first_ms=longest, ratio=ratio if i or j else None, gate=gate)
        for i, threads in enumerate((1, 2, 4))
        for j, name in enumerate(names)
    ][:8]
    show_benchmark(rows)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    start = next(i for i, line in enumerate(lines) if line.startswith("model ") and "threads" in line)
    above = dict(line.removeprefix("model ").split(": ") for line in lines[:start])
    first_words = [line.split()[0] for line in lines[start + 1 : start + 1 + len(rows)]]
    expected = [row["model"].removeprefix("x/").removeprefix("z/") if len(names) == 2 else row["model"] for row in rows]
    assert [above.get(word, word) for word in first_words] == expected
    assert sum("MISSED" in line for line in lines) == len(rows)


def test_a_model_that_is_not_warm_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    show_benchmark([shown("a.tflite", warmup={"runs": 31, "steady": False})])
    assert "note: a.tflite, 1 thread: not steady after 31 inferences" in capsys.readouterr().err
    show_benchmark([shown("a.tflite", warmup={"runs": 0, "steady": False})])
    assert capsys.readouterr().err == ""


@pytest.fixture
def stored(edgecnn: Run, place: Path) -> Callable[..., Path]:
    """Writes results of an earlier release: a benchmark of int8.tflite with changes, and its evaluation."""

    def write(**changes: Any) -> Path:
        records = json.loads(edgecnn("benchmark", "int8.tflite", *QUICK, "--json").stdout)
        evaluation = json.loads(edgecnn("evaluate", "int8.tflite", "--data", "data", "--limit", 6, "--json").stdout)
        for record in (*records, *evaluation):
            record |= {key: value for key, value in changes.items() if key in record}
        path = place / "before.json"
        path.write_text(json.dumps([*records, *evaluation]))
        return path

    return write


def gate(rules: str, *options: str) -> tuple[str, ...]:
    return ("benchmark", "int8.tflite", *QUICK, "--baseline", "before.json", "--fail-on", rules, *options)


def test_a_gate_that_is_passed(edgecnn: Run, stored: Callable[..., Path]) -> None:
    stored()
    rules = "size>+0,memory>+50%,p50>+100000%,top1<-1"
    result = edgecnn(*gate(rules, "--data", "data", "--json"))
    assert result.exit_code == 0, result.stderr
    (record,) = parse_results(result.stdout, "the record")
    assert record["top1"] == 1.0
    assert [(entry["rule"], entry["passed"]) for entry in record["gate"]] == [(r, True) for r in rules.split(",")]
    assert "Gate missed" not in result.stderr
    assert "note: the baseline's top-1 is of 6 images, this one of 24\n" in result.stderr


@pytest.mark.parametrize(
    ("rules", "changes"),
    [("size>+10%", {"size_bytes": 1000}), ("p50>+10%", {"p50_ms": 1e-9}), ("top1>+5,size>+0", {"top1": 0.9})],
)
def test_a_gate_that_is_missed_exits_3(
    rules: str, changes: dict[str, Any], edgecnn: Run, stored: Callable[..., Path]
) -> None:
    stored(**changes)
    result = edgecnn(*gate(rules, "--data", "data"))
    assert result.exit_code == 3
    missed = rules.partition(",")[0]
    assert f"Gate missed: int8.tflite: {missed}\n" in result.stderr
    row = next(line for line in result.stdout.splitlines() if missed in line)
    assert row.endswith("MISSED")
    as_json = edgecnn(*gate(rules, "--data", "data", "--json"))
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)[0]["gate"][0]["passed"] is False


def test_a_baseline_of_another_machine_is_told(edgecnn: Run, stored: Callable[..., Path]) -> None:
    stored(machine={"cpu": "Cortex-A72"})
    result = edgecnn(*gate("size>+0"))
    assert result.exit_code == 0
    assert "note: the baseline was timed on Cortex-A72, this is" in result.stderr


def test_several_baselines_and_thread_counts(edgecnn: Run, place: Path) -> None:
    for threads in ("1", "2"):
        result = edgecnn("benchmark", "int8.tflite", *QUICK, "--threads", threads, "--json")
        (place / f"{threads}.json").write_text(result.stdout)
    rules = ("--fail-on", "size>+0", "--baseline", "1.json")
    arguments = ("benchmark", "int8.tflite", *QUICK, "--threads", "1,2", *rules)
    assert edgecnn(*arguments, "--baseline", "2.json").exit_code == 0
    result = edgecnn(*arguments)
    assert result.exit_code == 1
    assert "no benchmark of int8.tflite with 2 thread(s); it has: int8.tflite with 1" in result.stderr


def test_a_gate_that_cannot_be_checked_is_told_before_anything_is_timed(
    failure: Callable[..., str], place: Path, edgecnn: Run
) -> None:
    (place / "before.json").write_text(edgecnn("benchmark", "int8.tflite", *QUICK, "--json").stdout)
    long = ("--runs", "1000000", "--baseline", "before.json", "--fail-on")
    assert "no benchmark of float.tflite" in failure("benchmark", "float.tflite", *long, "p50>+1%")
    message = failure("benchmark", "int8.tflite", *long, "top1<-1", "--data", "data")
    assert "the baseline does not tell top1 of int8.tflite" in message
    assert "cannot read missing.json" in failure(
        "benchmark", "int8.tflite", "--baseline", "missing.json", "--fail-on", "p50>+1%"
    )


def test_top1_of_pictures_without_labels(failure: Callable[..., str], stored: Callable[..., Path]) -> None:
    stored()
    message = failure(*gate("top1<-1", "--data", "flat", "--runs", "1000000"))
    assert "flat has no class folders; accuracy needs labelled images" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fail-on", "p50>+1%"), "--baseline and --fail-on go together"),
        (("--baseline", "before.json"), "--baseline and --fail-on go together"),
        (("--baseline", "before.json", "--fail-on", "p50>10%"), "expected rules such as p50>+10%"),
        (("--baseline", "before.json", "--fail-on", ""), "expected rules such as p50>+10%"),
        (("--baseline", "before.json", "--fail-on", "top1<-1"), "needs labelled images; give them with --data"),
    ],
)
def test_a_gate_that_is_none(options: tuple[str, ...], message: str, edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", *options)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("threads", ["0", "65", "1,", "1;2", "²", "-1", "x", "1.5", ""])
def test_numbers_of_threads_that_are_none(threads: str, edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", "--threads", threads)
    assert result.exit_code == 2
    assert f"expected numbers of threads from 1 to 64 such as 1,2,4, got {threads!r}" in result.stderr


@pytest.mark.parametrize("wrong", [("--runs", "0"), ("--warmup", "-1"), ("--runs", "x"), ("--sustained", "0")])
def test_wrong_usage_exits_2(wrong: tuple[str, str], edgecnn: Run) -> None:
    assert edgecnn("benchmark", "int8.tflite", *wrong).exit_code == 2


def test_a_bad_model_among_good_ones_is_told_before_any_is_timed(edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", "text.keras", "--runs", "100000", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
