"""The page in a real browser: no complaint on the console, and nothing wider than the window."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edgecnn.report.html import render_html
from tests.report import compressed, measured, samples
from tests.web.browser import CHROMIUM, Tab, open_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome in the PATH"),
]

WIDTHS = (320, 390, 800, 1400)
# What sticks out of the window at its right and cannot be scrolled to inside an element of its own.
OUTSIDE = """[...document.querySelectorAll("main *")].filter(element =>
  element.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !element.closest(".scroll")
).map(element => element.outerHTML.slice(0, 120))"""
# Texts of charts that are cut off by the edge of their drawing.
CUT = """[...document.querySelectorAll("main svg text")].filter(text => {
  const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
  return inner.left < outer.left - 2 || inner.right > outer.right + 2 || inner.bottom > outer.bottom + 3;
}).map(text => text.textContent)"""
COLORS = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
SIZE = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"


def pages() -> dict[str, list[dict[str, Any]]]:
    """Everything on one page, and a page for each kind of record."""
    labels = [f"a class with a long name {index}" for index in range(10)]
    confusion = [[900 if row == column else (row + column) % 2 for column in range(10)] for row in range(10)]
    evaluation = samples.evaluation(confusion, labels, calibration=measured.calibration(), top1_ci95=None)
    whole = compressed.compressed(
        architecture=measured.ARCHITECTURE,
        confidence=measured.CONFIDENCE,
        evaluation={"float": evaluation, "output": evaluation},
    )
    top1 = evaluation["top1"]  # so near to 100 % that its axis needs a digit more
    whole["accuracy"] |= {"float": top1, "output": top1, "samples": evaluation["samples"]}
    together = [whole, *measured.EVERYTHING, samples.prediction(), samples.demo(), compressed.sensitivity()]
    return {"together": together} | {record["schema"]: [record] for record in together}


async def check(tab: Tab, name: str) -> None:
    """What holds of a page that is open."""
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await tab.call("Emulation.setEmulatedMedia", media="", features=features)
        ink, paper = await tab.evaluate(COLORS)
        assert (brightness(ink) < brightness(paper)) == (scheme == "light"), name
    for width in WIDTHS:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        await tab.call("Emulation.setDeviceMetricsOverride", **size)
        assert await tab.evaluate(OUTSIDE) == [], f"{name}, {width} pixels wide"
        scrolled, visible = await tab.evaluate(SIZE)
        assert scrolled <= visible, f"{name}, {width} pixels wide"
        assert await tab.evaluate(CUT) == [], f"{name}, {width} pixels wide"
    printed = await tab.call("Page.printToPDF", printBackground=True)
    assert len(printed["data"]) > 10_000
    assert tab.console == [], name


async def look(folder: Path) -> None:
    """Open one page after the other in one browser."""
    async with open_page("about:blank", folder / "profile") as tab:
        for number, (name, records) in enumerate(pages().items()):
            page = folder / f"{number}.html"
            page.write_text(render_html(records), encoding="utf-8")
            await tab.call("Page.navigate", url=page.as_uri())
            for _ in range(100):
                if await tab.evaluate(f"location.href.endsWith('/{page.name}') && document.readyState == 'complete'"):
                    break
                await asyncio.sleep(0.05)
            assert await tab.evaluate("document.querySelectorAll('section').length") > 0
            await check(tab, name)


def test_pages_open_without_complaint_and_fit_every_width(tmp_path: Path) -> None:
    asyncio.run(look(tmp_path))


def brightness(color: str) -> int:
    """Sum of red, green and blue of "rgb(…)"."""
    return sum(int(part) for part in color.removeprefix("rgb(").rstrip(")").split(", "))
