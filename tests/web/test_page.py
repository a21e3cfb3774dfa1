"""The page in a real browser."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.camera.seen import DARK
from tests.web.browser import CHROMIUM, Tab, open_page
from tests.web.viewing import Producer, make_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome in the PATH"),
]

# The label that stands there, the sum of the picture's pixels, and the state.
LOOK = """(() => {
  const canvas = document.createElement("canvas"), picture = document.getElementById("live");
  [canvas.width, canvas.height] = [64, 36];
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, 64, 36);
  let hash = 0;
  for (const value of context.getImageData(0, 0, 64, 36).data) hash = (hash * 31 + value) | 0;
  return [document.getElementById("label").textContent, hash, document.getElementById("state").textContent,
          document.querySelectorAll("#bars li").length, document.querySelector("#age .value").textContent];
})()"""


async def text_of(tab: Tab, name: str, wanted: str, seconds: float = 8.0) -> None:
    """Wait until an element says something."""
    text = ""
    for _ in range(int(seconds * 5)):
        text = await tab.evaluate(f"document.getElementById('{name}')?.textContent")
        if text == wanted:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"expected {name} to say {wanted!r}, it says {text!r}")


async def watched(producer: Producer, wanted: bool) -> None:
    """Wait until somebody looks at the pictures, or nobody."""
    for _ in range(50):
        if producer.server.watched == wanted:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"expected watched to become {wanted}")


@pytest.mark.parametrize("token", [None, "s3cret"])
def test_the_page_shows_moving_pictures_and_changing_labels(tmp_path: Path, token: str | None) -> None:
    async def watch(producer: Producer) -> None:
        async with open_page(producer.server.url, tmp_path) as tab:
            await text_of(tab, "state-text", "Live")
            looks = []
            for _ in range(8):
                looks.append(await tab.evaluate(LOOK))
                await asyncio.sleep(0.3)
            labels, hashes, states, rows, ages = (set(column) for column in zip(*looks, strict=True))
            assert labels <= {"ant", "bee", "cat"}
            assert len(labels) >= 2
            assert len(hashes) >= 5
            assert states == {"Live"}
            assert rows == {3}
            assert ages == {"5.0ms"}
            producer.server.close()
            await text_of(tab, "state-text", "Connection lost")
            refused = [text for text in tab.console if "ERR_CONNECTION_REFUSED" not in text]
            assert not refused, "the page wanted what its policy forbids, or failed"

    server = make_server(token=token)
    server.start()
    with Producer(server) as producer:
        asyncio.run(watch(producer))


def test_the_page_says_that_the_picture_has_drifted(tmp_path: Path) -> None:
    state: dict[str, Any] = {"state": "running", "drift": None}

    async def watch(producer: Producer) -> None:
        async with open_page(producer.server.url, tmp_path) as tab:
            await text_of(tab, "state-text", "Live")
            await text_of(tab, "drift", "")
            state["drift"] = DARK.to_dict()
            await text_of(tab, "state-text", "Live · dark")
            await text_of(tab, "drift", "Drift: dark, brightness 0.13, expected 0.24 to 0.75")
            state["drift"] = None
            await text_of(tab, "state-text", "Live")
            await text_of(tab, "drift", "")

    server = make_server(status=lambda: dict(state))
    server.start()
    with Producer(server) as producer:
        asyncio.run(watch(producer))


def test_the_page_says_when_no_frames_come_and_when_they_come_again(tmp_path: Path) -> None:
    state = {"state": "running"}

    async def watch(producer: Producer) -> None:
        async with open_page(producer.server.url, tmp_path) as tab:
            await text_of(tab, "state-text", "Live")
            state["state"] = "reconnecting"
            await text_of(tab, "state-text", "Reconnecting")
            assert "Camera lost" in await tab.evaluate("document.getElementById('picture').innerText")
            state["state"] = "running"
            await text_of(tab, "state-text", "Live")
            producer.paused = True
            await text_of(tab, "state-text", "No new frames")
            producer.paused = False
            await text_of(tab, "state-text", "Live")
            # A tab that nobody looks at lets the server rest.
            await tab.evaluate(
                "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
                "document.dispatchEvent(new Event('visibilitychange'))"
            )
            await watched(producer, False)
            await tab.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
            await watched(producer, True)

    server = make_server(status=lambda: dict(state))
    server.start()
    with Producer(server) as producer:
        asyncio.run(watch(producer))
