"""What compression did must be read off the tables and charts as it stands in the record, the bad news too."""

from typing import Any

import pytest

from edgecnn.report import compression
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Table
from tests.report import compressed, samples


def texts(table: Table | None) -> list[list[str]]:
    """Every cell as it is written, its note in brackets."""
    assert table is not None
    assert all(len(row) == len(table.heads) for row in table.rows)
    return [
        [f"{cell.text} ({cell.note})".replace(" ()", "").replace(n.SPACE, " ") for cell in row] for row in table.rows
    ]


def test_a_record_of_an_older_release_has_none_of_it() -> None:
    record = samples.conversion()
    assert compression.stage_table(record) is None
    assert compression.stage_details(record) == []
    assert compression.gains(record) == []
    assert compression.gain_table(record) is None
    assert compression.ladder_table(record) is None
    assert compression.ladder_chart(record) is None
    assert compression.taken_rung(record) is None
    assert compression.layers_of(record) == []
    assert compression.layer_table([]) is None
    assert compression.layer_charts([]) == []


def test_a_stage_says_what_it_did_and_what_it_could_not() -> None:
    channels, trained = texts(compression.stage_table(compressed.compressed()))
    assert channels == [
        "Channels pruned",
        "3,000,000 → 1,000,000 multiply-accumulates, 3.0 × fewer\n80,000 → 40,000 parameters, 2.0 × fewer\n"
        "3 epochs of learning",
        "logits: its channels are the output of the model",
    ]
    assert trained == [
        "Trained with int8",
        "1 layer changed\nThe file gives the trained model's label on 96.9 % of 32 images\n"
        "Layer that differs most from the trained model: logits\n1 epoch of learning",
        "scale_0, scale_1, scale_2 and 2 more: no such layer in int8",
    ]


def test_a_file_that_computes_something_else_than_was_trained_is_loud() -> None:
    stage = compressed.qat_stage()
    stage["against_trained"]["first_layer"] = "stem"
    words = texts(compression.stage_table(samples.conversion(stages=[stage])))[0][1]
    assert "DIFFERS from the trained model by more than rounding, first in layer stem" in words


def test_a_stage_that_left_everything_has_no_reasons_and_an_unknown_one_keeps_its_name() -> None:
    stages = [compressed.channel_stage(groups=[], epochs=0), {"technique": "new"}]
    pruned, unknown = texts(compression.stage_table(samples.conversion(stages=stages)))
    assert pruned[1].endswith("no learning afterwards")
    assert pruned[2] == "—"
    assert unknown == ["new", "", "—"]


def test_every_group_and_layer_is_in_a_table_of_its_stage() -> None:
    groups, layers = compression.stage_details(compressed.compressed())
    assert groups.title == "1. Channels pruned: every group of channels"
    assert texts(groups) == [
        ["stem, project", "32", "16"],
        ["logits (its channels are the output of the model)", "3", "3"],
    ]
    assert layers.title == "2. Trained with int8: every layer"
    assert texts(layers)[:2] == [["stem", "8-bit weights"], ["scale_0", "no such layer in int8"]]
    assert len(layers.rows) == 6
    alone = compression.stage_details(samples.conversion(stages=[compressed.channel_stage()]))
    assert [table.title for table in alone] == ["Channels pruned: every group of channels"]


def test_gains_are_told_from_no_gains() -> None:
    record = compressed.compressed()
    record["gains"]["words"] += ["memory: 1.20 x larger, no gain", "plain words"]
    assert [(gain.what, gain.words, gain.is_gain) for gain in compression.gains(record)] == [
        ("file", "2.00 x smaller", True),
        ("gzip", "1.95 x smaller", True),
        ("latency", "no gain from pruning", False),
        ("memory", "1.20 x larger, no gain", False),
        ("", "plain words", True),
    ]


def test_the_figures_behind_the_gains_stand_side_by_side() -> None:
    table = compression.gain_table(compressed.compressed())
    assert table is not None
    assert table.heads == ("Metric", "int8 alone", "int8 after the stages", "Change")
    assert texts(table) == [
        ["File size", "98,000 B", "49,000 B", "2.0 × smaller"],
        ["Size after gzip", "80,000 B", "41,000 B", "1.95 × smaller"],
        ["Inference p50", "0.100 ms", "0.100 ms", "equal"],
        ["Multiply-accumulates", "3,000,000", "1,000,000", "3.0 × fewer"],
        ["Parameters", "80,000", "40,000", "2.0 × fewer"],
        ["Weights that are 0", "1.0 %", "1.0 %", ""],
    ]
    assert table.rows[0][1].value == 98_000


def test_every_rung_has_its_row_and_the_taken_one_its_mark() -> None:
    table = compression.ladder_table(compressed.compressed())
    assert table is not None
    rows = texts(table)
    assert rows[0] == [
        *("float (the float model)", "", "—", "85.00 %", "97.00 %"),
        *("318,144 B", "80,000 B", "0.100 ms"),
    ]
    assert rows[1][:4] == ["int8 (plain min-max ranges)", "outside", "0.40 (0.10 to 0.70)", "84.60 %"]
    assert rows[3] == ["equalize (the quantizer knows no such layer)", "no model", *["—"] * 6]
    assert rows[4][:3] == ["float-layers (in float: stem)", "✓ taken, inside", "\u22120.10 (\u22120.40 to 0.20)"]
    assert rows[5] == ["qat (there is no Keras model to train)", "not tried", *["—"] * 6]
    assert (table.marked, table.is_good) == (4, True)
    assert compression.ladder_lead(compressed.ladder()).startswith("Top-1 may fall by 0.5\u00a0points.")


def test_a_rung_that_was_taken_outside_the_budget_is_not_marked_as_good() -> None:
    ladder = compressed.ladder(taken=0, inside=False)
    table = compression.ladder_table(samples.conversion(ladder=ladder))
    assert table is not None
    assert texts(table)[1][1] == "✓ taken, outside"
    assert (table.marked, table.is_good) == (1, False)


def test_the_ladder_is_drawn_against_its_budget() -> None:
    chart = compression.ladder_chart(compressed.compressed())
    assert chart is not None
    assert chart.limit is not None
    assert [(dot.label.replace(n.SPACE, " "), dot.role) for dot in chart.dots] == [
        ("int8", "output"),
        ("ranges", "output"),
        ("✓ float-layers, 1 layer, taken", "best"),
    ]
    inside = [dot.high <= chart.limit.fraction for dot in chart.dots]
    assert inside == [rung["inside"] for rung in compressed.ladder()["rungs"] if not rung["failed"]]
    nothing = compressed.ladder(rungs=[compressed.rung(drop=None)])
    assert compression.ladder_chart(samples.conversion(ladder=nothing)) is None


@pytest.mark.parametrize(("taken", "name"), [(3, "float-layers"), (0, "int8"), (9, None)])
def test_the_taken_rung_is_found_if_it_is_there(taken: int, name: str | None) -> None:
    rung = compression.taken_rung(samples.conversion(ladder=compressed.ladder(taken=taken)))
    assert (rung["name"] if rung else None) == name


def test_layers_come_worst_first_and_those_without_a_figure_last() -> None:
    table = compression.layer_table(compressed.sensitivity()["layers"][::-1])
    assert texts(table) == [
        ["conv (CONV_2D)", "+0.10 points", "99.00 %", "0.0100", "24.2 dB", "31.5 dB"],
        ["stem (CONV_2D)", "\u22122.50 points", "96.00 %", "0.0200", "24.2 dB", "31.5 dB"],
        ["odd (the quantizer knows no such layer)", *["—"] * 5],
    ]
    unlabelled = compression.layer_table(compressed.ladder()["sensitivity"])
    assert unlabelled is not None
    assert "Top-1" not in unlabelled.heads
    assert texts(unlabelled)[0] == ["stem (CONV_2D)", "95.00 %", "0.0200", "24.2 dB", "31.5 dB"]


def test_a_layer_is_a_bar_with_its_cost_in_words() -> None:
    (chart,) = compression.layer_charts(compressed.sensitivity()["layers"])
    assert [(bar.label, bar.text.replace(n.SPACE, " "), bar.fraction) for bar in chart.bars] == [
        ("stem", "top-1 \u22122.50, 24 dB", 1.0),
        ("conv", "top-1 +0.10, 24 dB", 0.5),
    ]
    (chart,) = compression.layer_charts(compressed.ladder()["sensitivity"])
    assert chart.bars[0].text.replace(n.SPACE, " ") == "95.0 % same label, 24 dB"


@pytest.mark.parametrize(
    ("layers", "columns", "words"),
    [
        (1, [1], "worst layer first"),
        (15, [15], "worst layer first"),
        (16, [8, 8], "worst layer first"),
        (30, [15, 15], "worst layer first"),
        (53, [15, 15], "the worst 30 of 53 layers"),
    ],
)
def test_at_most_thirty_layers_are_drawn_on_one_scale(layers: int, columns: list[int], words: str) -> None:
    record: list[dict[str, Any]] = [compressed.layer(f"conv_{i}", 1 / (i + 1)) for i in range(layers)]
    charts = compression.layer_charts(record)
    assert [len(chart.bars) for chart in charts] == columns
    assert words in charts[0].title
    fractions = [bar.fraction for chart in charts for bar in chart.bars]
    assert fractions == pytest.approx([1 / (i + 1) for i in range(len(fractions))])
