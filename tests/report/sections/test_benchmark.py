"""What a page says of latencies."""

import pytest

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Part, Section, Table
from edgecnn.report.sections.benchmark import benchmarks, judge_benchmarks
from tests.report import measured, samples


def part(section: Section, title: str) -> Part:
    (found,) = [part for part in section.parts if part.title == title]
    return found


def texts(table: Table) -> list[list[str]]:
    assert isinstance(table, Table)
    return [[cell.text.replace(n.SPACE, " ") for cell in row] for row in table.rows]


def test_a_plain_record_has_no_empty_parts() -> None:
    titles = [part.title for part in benchmarks([samples.benchmark()]).parts]
    assert titles == ["", "How latencies spread", "How it was measured"]


def test_a_full_record_has_all_parts() -> None:
    titles = [part.title for part in benchmarks([measured.full_benchmark()]).parts]
    assert titles == [
        "Gate", "", "How latencies spread", "Work", "Operator by operator", "A long run", "How it was measured",
    ]  # fmt: skip


def test_a_failed_gate_is_loud_and_a_passed_one_is_good() -> None:
    failed = judge_benchmarks([measured.full_benchmark()])
    assert (failed.level, failed.headline.startswith("GATE FAILED: p50>+10%. ")) == ("bad", True)
    passed = judge_benchmarks([measured.full_benchmark(gate=[{"rule": "p50>+10%", "passed": True}])])
    assert (passed.level, passed.remarks[0]) == ("good", "The gate is passed.")
    assert judge_benchmarks([samples.benchmark()]).level == "plain"
    (table,) = part(benchmarks([measured.full_benchmark()]), "Gate").blocks
    assert texts(table) == [
        ["pets-int8.tflite", "p50>+10%", "✗ FAILED", "0.08", "0.1", "+25.0 %"],
        ["pets-int8.tflite", "top1<-1", "✓ kept", "—", "0.84", "—"],
    ]
    assert [row[2].tone for row in table.rows] == ["worse", "better"]


@pytest.mark.parametrize(
    ("bounds", "tone", "chance"), [([2.4, 2.6], "better", False), ([0.4, 0.6], "worse", False), ([0.9, 1.2], "", True)]
)
def test_a_ratio_is_good_or_bad_only_beyond_its_interval(bounds: list[float], tone: str, chance: bool) -> None:
    ratio = {"to": "a/float.tflite", "to_threads": 1, "value": sum(bounds) / 2, "ci95": bounds, "rounds": 200}
    record = samples.benchmark(ratio=ratio)
    table = part(benchmarks([record]), "").blocks[0]
    assert table.rows[0][table.heads.index("Speed")].tone == tone
    assert any("may be chance" in remark for remark in judge_benchmarks([record]).remarks) == chance


def test_the_slowest_operators_are_rows_and_the_rest_is_one() -> None:
    operators = measured.operators(20)
    profile = {"total_ms": 1.0, "method": "cut apart", "operators": operators}
    charts, table, words = part(benchmarks([measured.full_benchmark(profile=profile)]), "Operator by operator").blocks
    rows = texts(table)
    assert [row[0] for row in rows] == [
        *(f"{index} {('CONV_2D', 'ADD', 'SOFTMAX')[index % 3]}" for index in range(12)),
        "8 more",
    ]
    total = sum(item["ms"] for item in operators)
    assert sum(row[1].value or 0 for row in table.rows) == pytest.approx(total)
    assert rows[0][4:] == ["1,000,000", "10.0"]  # 1e6 MACs in 0.1 ms
    assert table.rows[0][3].bar == 1
    (figure,) = charts.blocks
    assert [bar.label for bar in figure.chart.bars] == ["CONV_2D", "ADD", "SOFTMAX"]
    assert words.text.endswith(": cut apart.")


def test_what_slowed_the_machine_down_is_said() -> None:
    remarks = judge_benchmarks([measured.full_benchmark(warmup={"runs": 500, "steady": False})]).remarks
    assert "Latencies had not become steady before they were measured." in remarks
    assert "The machine slowed itself down during the long run." in remarks
    _, table = part(benchmarks([measured.full_benchmark()]), "A long run").blocks
    assert texts(table)[0] == ["5.0 s", "4,000", "0.250 ms", "0.400 ms", "50.0 °C", "1,800 MHz", "no"]
    assert len(table.rows) == 24  # of 30 windows
    assert texts(table)[-1][-1] == "slowed down"


def test_work_is_told_with_its_share_of_the_peak() -> None:
    _, table = part(benchmarks([measured.full_benchmark()]), "Work").blocks
    assert texts(table) == [["pets-int8.tflite", "12,501,632", "125", "200", "62 %"]]
    _, table = part(benchmarks([measured.full_benchmark(gmacs_per_s=None, peak=None)]), "Work").blocks
    assert texts(table) == [["pets-int8.tflite", "12,501,632", "—", "—", "—"]]
