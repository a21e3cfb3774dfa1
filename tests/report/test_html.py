"""The page is read back with a parser: what it shows, what it must never hold, and that any record is drawn."""

import builtins
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgecnn.errors import MissingExtraError
from edgecnn.report import html
from edgecnn.report import numbers as n
from edgecnn.report.html import render_html
from tests.report import compressed, measured, samples

VOID = {"meta", "img", "br", "link", "input", "hr"}
DRAWN = {"path", "rect", "circle"}  # SVG elements that the templates close themselves
# What HTML 5 lets a browser load or run.
LOADING = {"src", "href", "srcset", "data", "action", "poster", "background", "formaction", "xlink:href"}
GEOMETRY = {"d", "x", "y", "width", "height", "cx", "cy", "r", "viewbox", "transform", "fill-opacity"}


class Page(HTMLParser):
    """Elements of a page in order, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN | VOID
        self.handle_starttag(tag, attrs)
        if tag in DRAWN:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.texts.append((self.open[-1], data.strip()))

    def titles_of(self, role: str) -> list[str]:
        """Titles of the bars drawn in a role's colour."""
        places = [place for place, (tag, attributes) in enumerate(self.elements) if attributes.get("class") == role]
        titles = [text for tag, text in self.texts if tag == "title"]
        counts = [sum(tag == "title" for tag, _ in self.elements[: place + 1]) for place in places]
        return [titles[count] for count in counts]

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, *tags: str) -> str:
        return " ".join(text for tag, text in self.texts if not tags or tag in tags).replace(n.SPACE, " ")


ALL = [
    *(samples.conversion(), samples.evaluation(), samples.benchmark(), samples.prediction(), samples.demo()),
    *(compressed.compressed(), compressed.sensitivity(), *measured.EVERYTHING),
]
SINGLE = [pytest.param([record], id=record["schema"]) for record in ALL]
# Each of these records has a section of its own.
ALONE = [f"edgecnn.{kind}/1" for kind in ("convert", "compare", "sensitivity", "train", "camera", "demo", "robustness")]


def check(text: str) -> Page:
    """What holds of every page."""
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in LOADING:
                assert value.startswith("data:image/" if tag == "img" else "#"), f"<{tag} {name}={value!r}>"
            if name in GEOMETRY:
                assert not re.search("nan|inf|none", value, re.IGNORECASE), f"<{tag} {name}={value!r}>"
    style = page.text("style")
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in style
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(image["alt"] for image in page.all("img"))
    for drawing in page.all("svg"):
        if drawing.get("aria-hidden") != "true":
            assert drawing["role"] == "img"
            assert set(drawing["aria-labelledby"].split()) <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    return page


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(samples.records(), min_size=1, max_size=2))
@example([samples.prediction(image="", predictions=[], latency_ms=None)])
def test_any_record_within_the_schema_is_drawn(records: list[dict[str, Any]]) -> None:
    text = render_html(records)
    text.encode()
    check(text)


@pytest.mark.parametrize("records", [*SINGLE, pytest.param(ALL, id="all"), pytest.param(ALL + ALL, id="twice")])
def test_every_kind_of_record_has_its_section(records: list[dict[str, Any]]) -> None:
    page = check(render_html(records))
    alone = sum(record["schema"] in ALONE for record in records)
    others = {record["schema"] for record in records} - set(ALONE)
    opening = len(records) > 1  # they are of the same models
    assert len(page.all("section")) == alone + len(others) + opening


def test_the_page_opens_with_the_verdict() -> None:
    page = check(render_html([samples.conversion()]))
    first = [text.replace(n.SPACE, " ") for tag, text in page.texts if tag in ("h1", "h2", "p")][:5]
    assert first[1:3] == [
        "pets.keras → int8",
        "pets_int8.tflite · int8 input and output · 120 images of the test split",
    ]
    assert first[3] == "Good"
    assert first[4].startswith("int8 loses 0.8 points of top-1 (84.2 %, float 85.0 %), is 3.2 × smaller")


def test_a_missed_budget_is_loud() -> None:
    page = check(render_html([samples.scored(0.9, 0.7, within_budget=False)]))
    assert "Not good BUDGET MISSED: int8 LOSES 20.0 points" in page.text("p")
    assert "missed" in page.text("dd")


def test_a_page_without_compression_has_no_empty_headings() -> None:
    headings = check(render_html([samples.conversion()])).text("h2")
    assert not re.search("Compression|ladder|Layer by layer", headings)


def test_compression_shows_its_stages_gains_ladder_and_layers() -> None:
    page = check(render_html([compressed.compressed()]))
    assert "Compression Accuracy ladder Layer by layer" in page.text("h2")
    assert "3,000,000 → 1,000,000 multiply-accumulates, 3.0 × fewer" in page.text("td")
    assert "logits: its channels are the output of the model" in page.text("td")
    assert page.text("summary") == (
        "1. Channels pruned: every group of channels 2. Trained with int8: every layer Against int8 alone All 3 layers"
    )
    marks = [attributes["class"] for attributes in page.all("tr") if "class" in attributes]
    assert marks == ["marked"]
    assert "✓ taken, inside" in page.text("td")
    assert "the quantizer knows no such layer" in page.text("small")
    assert "not tried" in page.text("td")
    charts = page.text("figcaption")
    assert "Loss of top-1 in points, 95 % interval" in charts
    assert "Divergence from float, worst layer first" in charts
    assert sum(attributes.get("class") == "limit" for attributes in page.all("path")) == 3 + 1  # rungs and legend


def test_no_gain_is_as_loud_as_a_gain() -> None:
    page = check(render_html([compressed.compressed()]))
    cards = [attributes["class"] for attributes in page.all("li") if "gain" in attributes.get("class", "")]
    assert cards == ["card gain", "card gain", "card no-gain"]
    said = [
        text for place, (tag, text) in enumerate(page.texts) if tag == "span" and page.texts[place - 1][0] == "span"
    ]
    assert "no gain from pruning" in said


def test_a_ladder_without_a_rung_inside_is_marked_as_a_warning() -> None:
    ladder = compressed.ladder(taken=0, inside=False)
    page = check(render_html([compressed.compressed(ladder=ladder, within_budget=False)]))
    assert [attributes["class"] for attributes in page.all("tr") if "class" in attributes] == ["marked bad"]
    assert "Not good BUDGET MISSED" in page.text("p")
    assert "missed" in page.text("dd")


def test_the_numbers_in_the_table_are_those_of_the_record() -> None:
    record = samples.conversion()
    values = {attributes["value"] for attributes in check(render_html([record])).all("data")}
    before, after = record["benchmark"]
    expected = [record["size_bytes"], record["float_size_bytes"], record["gzip_bytes"], record["float_gzip_bytes"]]
    expected += [record["accuracy"][key] for key in ("float", "output", "agreement")]
    expected += [timing[key] for timing in (before, after) for key in ("p50_ms", "p90_ms", "p99_ms", "peak_rss_mb")]
    expected += [record["evaluation"][side]["f1"] for side in ("float", "output")]
    assert {str(value) for value in expected} <= values


def _named(label: str) -> dict[str, Any]:
    return {"layer": label, "reason": label}


@pytest.mark.parametrize("label", samples.NASTY[:3])
def test_labels_are_text_and_nothing_else(label: str) -> None:
    labels = [label, "dog", "bird"]
    evaluation = samples.evaluation(labels=labels)
    records = [
        samples.conversion(
            evaluation={"float": evaluation, "output": evaluation},
            examples=[samples.example(label, "dog", label)],
            model=label,
            notes=[label],
            layers_kept_float=[label],
            machine={label: label},
            preprocess_spec=label,
        ),
        evaluation | {"model": label, "data": label},
        samples.benchmark(model=label),
        samples.prediction(image=label, predictions=[{"label": label, "index": 0, "score": 1}]),
        samples.demo(clip={label: label}),
        compressed.compressed(
            stages=[compressed.channel_stage(technique=label), compressed.qat_stage(skipped=[_named(label)])],
            ladder=compressed.ladder(
                rungs=[compressed.rung(label, detail=label)], skipped=[{"rung": label, "reason": label}]
            ),
        ),
        compressed.sensitivity(model=label, layers=[compressed.layer(label), compressed.layer(label, reason=label)]),
    ]
    page = check(render_html(records, title=label))
    assert page.text("h1") == label
    assert label in page.text("li", "dd")
    assert "49" not in page.text("h1", "h2", "dd")


def test_text_that_no_file_can_hold_is_replaced() -> None:
    page = check(render_html([samples.conversion(notes=["a\ud800b\x00c\u202ed"])]))
    assert "a\ufffdb\ufffdc\ufffdd" in page.text("li")


def test_flips_come_first_and_say_what_happened_in_words() -> None:
    page = check(render_html([samples.conversion()]))
    flags = [text for tag, text in page.texts if tag == "p" and text[0] in "▼▲≠✗✓="]
    assert flags == ["▼ broken by int8", "▲ corrected by int8", "≠ both wrong", "✗ both wrong", "✓ both right"]
    assert "3 of the 5 pictures here got another label" in page.text("p")
    assert page.all("img")[0]["alt"] == "1.jpg, true label cat"


def test_examples_without_labels_only_differ_or_not() -> None:
    examples = [
        samples.example(None, "cat", "cat"),
        samples.example(None, "cat", "dog"),
        samples.example(thumbnail=None),
    ]
    page = check(render_html([samples.scored(None, None, examples=examples)]))
    assert [text for tag, text in page.texts if tag == "p" and text[0] in "≠="] == ["≠ differs", "= same label"]
    assert len(page.all("img")) == 2


def test_a_gallery_is_limited_and_says_so() -> None:
    page = check(render_html([samples.conversion(examples=[samples.example()] * 60)]))
    assert len(page.all("img")) == 48
    assert "Shown are 48." in page.text("p")
    frames = [samples.demo()["frames"][0] | {"frame": place} for place in range(100)]
    page = check(render_html([samples.demo(frames=frames)]))
    assert [image["alt"] for image in page.all("img")][::47] == ["Frame 0", "Frame 99"]
    assert "48 of 100 frames, evenly spaced." in page.text("p")


@pytest.mark.parametrize(("classes", "matrices"), [(1, 1), (12, 1), (40, 1), (41, 0), (100, 0)])
def test_a_matrix_is_drawn_as_long_as_it_can_be_read(classes: int, matrices: int) -> None:
    labels = [f"class {index}" for index in range(classes)]
    confusion = [
        [5 if row == column else (row + 2 * column) % 3 for column in range(classes)] for row in range(classes)
    ]
    page = check(render_html([samples.evaluation(confusion, labels)]))
    assert page.text("figcaption").count("Confusion") == matrices
    assert ("Most frequent mistakes" in page.text("caption")) == (classes > 1)
    assert ("The 20 of" in page.text("p")) == (classes > 20)


def test_the_calibration_that_was_chosen_is_marked() -> None:
    tried: list[samples.Record] = [
        {"range_quantile": 0.9, "divergence": 0.3, "weights": "octav", "bias_correction": False},
        {"range_quantile": 0.9, "divergence": 0.2, "weights": "octav", "bias_correction": True},
        {"range_quantile": None, "divergence": None},
    ]
    page = check(
        render_html([samples.conversion(calibration=tried[1] | {"candidates": tried}, preprocess_spec="unit")])
    )
    best = [text.replace(n.SPACE, " ") for text in page.titles_of("best")]
    assert best == ["90 %, octav weights, biases corrected: 0.200"]
    assert re.search(r"\ball\b", page.text("text"))


def test_what_is_not_known_is_said() -> None:
    page = check(render_html([samples.scored(None, None, benchmark=None, parity=None, machine={})]))
    text = page.text("li")
    assert "How accurate the models are: the data had no labels." in text
    assert "Latency and memory: no benchmark is in this record." in text
    assert "it was not compared" in text


def test_models_of_one_name_are_told_apart() -> None:
    records = [samples.benchmark(0.2), samples.benchmark(0.1, threads=2), samples.benchmark(0.1, threads=2)]
    text = check(render_html(records)).text("text")
    assert "pets.tflite, 1 thread" in text
    assert "pets.tflite, 2 threads (2)" in text
    assert "pets.tflite, 2 threads (3)" in text


def test_a_run_of_ten_classes_with_everything_stays_small() -> None:
    labels = [f"class {index}" for index in range(10)]
    confusion = [[80 if row == column else 2 for column in range(10)] for row in range(10)]
    evaluation = samples.evaluation(confusion, labels, calibration=measured.calibration())
    picture = "data:image/jpeg;base64," + "A" * 12_000
    examples = [samples.example("class 1", "class 1", "class 2", thumbnail=picture)] * 100
    flips = [measured.flip(thumbnail=picture)] * 100
    whole = compressed.compressed(evaluation={"float": evaluation, "output": evaluation}, examples=examples)
    text = render_html([whole, measured.comparison(flips=flips), *[evaluation] * 4, *[measured.full_benchmark()] * 4])
    pictures = text.count("data:image/jpeg") * len(picture)
    assert len(text.encode()) - pictures < 700_000
    assert len(text.encode()) < 3_000_000


def test_every_chart_says_what_it_shows() -> None:
    page = check(render_html([*ALL, compressed.compressed(architecture=measured.ARCHITECTURE)]))
    drawings = [attributes for attributes in page.all("svg") if attributes.get("role") == "img"]
    told = [text for tag, text in page.texts if tag == "desc"]
    assert len(told) == len(page.all("desc")) == len(drawings)
    assert len(drawings) == len(page.all("figcaption")) + 1  # the card of a prediction has its name as heading


def test_the_same_records_give_the_same_page() -> None:
    assert render_html(ALL) == render_html(ALL)


def test_jinja_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_jinja(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    html._page.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without_jinja)
    with pytest.raises(MissingExtraError, match=r"^Jinja2 is not installed; type: pip install 'edgecnn\[report\]'$"):
        render_html(ALL)
