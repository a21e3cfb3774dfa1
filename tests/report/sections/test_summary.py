"""The opening of a page of several records."""

from typing import Any

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Section, Table
from edgecnn.report.sections.summary import summary
from tests.report import measured, samples
from tests.report.samples import FLOAT, OUTPUT, Record

FLOAT_MODEL, INT8_MODEL = "out/pets-float.tflite", "out/pets-int8.tflite"


def pair(**changes: Any) -> list[Record]:
    """A float and an int8 model, evaluated, timed and compared."""
    sides = ((FLOAT, FLOAT_MODEL, 0.25, 0.85, 40.0), (OUTPUT, INT8_MODEL, 0.1, 0.832, 30.0))
    found = []
    for sha256, model, p50, top1, memory in sides:
        identity: Record = {"sha256": sha256, "model": model}
        found.append(samples.evaluation(**identity, top1=top1, samples=1000, top1_ci95=[top1 - 0.02, top1 + 0.02]))
        found.append(samples.benchmark(p50, **identity, peak_rss_mb=memory))
    return [*found, measured.comparison(**changes)]


def opened(records: list[Record]) -> Section:
    section = summary(records)
    assert section is not None
    return section


def rows(section: Section) -> list[list[str]]:
    table = section.parts[0].blocks[0]
    assert isinstance(table, Table)
    return [list(table.heads), *([cell.text.replace(n.SPACE, " ") for cell in row] for row in table.rows)]


def headline(section: Section) -> tuple[str, str]:
    assert section.verdict is not None
    return section.verdict.level, section.verdict.headline.replace(n.SPACE, " ")


def test_one_sentence_and_one_table_hold_what_all_records_say() -> None:
    section = opened(pair())
    assert headline(section) == (
        "warn",
        "int8 loses 1.8 points of top-1 (83.2 %, float 85.0 %), is 3.2 × smaller and 2.5 × faster on this machine.",
    )
    assert rows(section) == [
        ["Model", "Top-1", "Change", "Same label", "File size", "Inference p50", "Speed-up", "Peak memory"],
        ["pets-float.tflite", "85.00 %", "—", "—", "318.1 kB", "0.250 ms", "—", "40.0 MB"],
        [
            "pets-int8.tflite",
            "83.20 %",
            "\u22121.80 points",
            "95.50 %",
            "98.5 kB",
            "0.100 ms",
            "2.5 × faster",
            "30.0 MB",
        ],
    ]
    table = section.parts[0].blocks[0]
    assert table.rows[0][1].note == "83.0 to 87.0"
    assert table.rows[1][0].note == "against pets-float.tflite"
    assert table.rows[1][4].note.replace(n.SPACE, " ") == "3.2 × smaller"
    assert [figure.chart.title for figure in section.parts[1].blocks[0].blocks] == [
        "Accuracy against latency",
        "Accuracy against size",
    ]
    assert [point.label for point in section.parts[1].blocks[0].blocks[0].chart.points] == ["float", "int8"]


def test_a_conversion_gives_its_models_their_words() -> None:
    section = opened([samples.conversion(), samples.benchmark(0.05, sha256=OUTPUT)])
    assert headline(section)[1] == (
        "int8 loses 0.8 points of top-1 (84.2 %, float 85.0 %), is 3.2 × smaller and 2.5 × faster on this machine."
    )
    assert [row[-3] for row in rows(section)] == ["Inference p50", "0.250 ms", "0.100 ms"]  # those of one run


def test_records_that_do_not_belong_together_have_no_opening() -> None:
    assert summary([samples.evaluation(), samples.benchmark()]) is None
    assert summary([samples.conversion()]) is None
    assert summary([samples.prediction(), samples.demo(), measured.camera()]) is None


def test_what_was_missed_comes_first() -> None:
    level, text = headline(opened(pair(max_drop=1.0, within_budget=False)))
    assert level == "bad"
    assert text.startswith("BUDGET MISSED by pets-int8.tflite. int8 loses 1.8 points")
    level, text = headline(opened([*pair(), measured.full_benchmark()]))
    assert text.startswith("GATE FAILED by pets-int8.tflite. int8 loses")


def test_latencies_of_different_machines_or_threads_are_no_speed_up() -> None:
    for changes in ({"machine": measured.MACHINE_OF_OTHERS}, {"threads": 2}):
        records = pair()
        records[3] |= changes
        section = opened(records)
        assert "faster" not in headline(section)[1]
        assert "Speed-up" not in rows(section)[0]


def test_of_several_models_the_best_of_each_kind_are_named() -> None:
    third: Record = {"sha256": "77" * 32, "model": "out/pets-dynamic.tflite"}
    records = [
        *pair(),
        samples.evaluation(**third, top1=0.84, samples=1000),
        samples.benchmark(0.05, **third, size_bytes=90_000),
    ]
    section = opened(records)
    assert headline(section) == (
        "plain",
        "Of 3 models float is the most accurate (85.0 %), dynamic the fastest (0.0500 ms), dynamic the smallest "
        "(90.0 kB).",
    )
    assert section.verdict is not None
    assert section.verdict.remarks[0].startswith("int8 loses 1.8")
    assert len(rows(section)) == 4


def test_accuracies_on_other_images_are_marked_and_not_drawn() -> None:
    records = pair()[:4]
    records[2] |= {"samples": 500, "top1_ci95": None, "split": "val"}
    section = opened(records)
    assert section.verdict is not None
    assert "only accuracies on the same ones can be compared" in section.verdict.remarks[0]
    assert len(section.parts) == 1


def test_one_model_of_two_records_is_told_in_a_sentence() -> None:
    section = opened([samples.evaluation(), samples.benchmark(sha256="ab" * 32)])
    assert headline(section) == ("plain", "pets.tflite is right on 85.0 %, takes 0.250 ms an inference, has 300.0 kB.")
