"""`LiveLine`: one line that is rewritten on a terminal, a line a change elsewhere, and the source's state."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from edgecnn.cli.live import LiveLine
from tests.camera.seen import DARK, seen

ROOT = Path(__file__).parents[2]
STATUS: dict[str, Any] = {
    "fps": 10.04,
    "dropped": 1234,
    "trouble": "",
    "temperature_c": None,
    "throttled": None,
    "drift": None,
}


def live(monkeypatch: pytest.MonkeyPatch, *, columns: int = 80, terminal: bool = True, **changed: Any) -> LiveLine:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    return LiveLine(lambda: STATUS | changed, quiet=False)


def test_a_line_that_is_rewritten(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = live(monkeypatch)
    line.show(seen(0, changed=True))
    line.show(seen(1, changed=True))
    assert capsys.readouterr().out == (
        "\r\x1b[Kant 90%  12 ms old  10.0 fps  1,234 dropped\r\x1b[Kbee 90%  12 ms old  10.0 fps  1,234 dropped"
    )
    line.close()
    line.close()
    assert capsys.readouterr().out == "\n"


def test_the_first_line_has_no_rate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    live(monkeypatch, fps=0.0, dropped=0).show(seen(0))
    assert capsys.readouterr().out == "\r\x1b[Kant 90%  12 ms old  0 dropped"


def test_it_is_drawn_five_times_a_second_and_when_the_label_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("edgecnn.cli.live.time.monotonic", lambda: now)
    line = live(monkeypatch)
    for number in range(100):
        line.show(seen(0, changed=number == 47))
        now += 0.01
    assert capsys.readouterr().out.count("\r") in (5, 6)


def test_a_board_shows_temperature_and_what_slows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live(monkeypatch, temperature_c=71.6, throttled=["under-voltage"]).show(seen(0))
    assert capsys.readouterr().out.endswith("1,234 dropped  72 °C  under-voltage")


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("label", ["a class with a very long name indeed, longer than anybody needs", "犬と猫" * 20])
def test_a_line_is_never_wider_than_the_terminal(
    label: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live(monkeypatch, columns=columns, throttled=["under-voltage", "frequency capped"]).show(seen(0, label=label))
    out = capsys.readouterr().out.removeprefix("\r\x1b[K")
    width = len(out) + sum(letter in "犬と猫" for letter in out)
    assert columns - 2 <= width < columns


def test_a_line_a_change_where_it_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = live(monkeypatch, terminal=False)
    for number, index in enumerate([0, 0, None, None, 2]):
        line.show(seen(index, number=number, changed=number in (0, 2, 4)))
    line.close()
    assert capsys.readouterr() == ("frame 0: ant 90%\nframe 2: unknown 45%\nframe 4: cat 90%\n", "")


def test_a_drift_is_told_on_a_line_of_its_own_and_stays_in_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = live(monkeypatch, dropped=0, fps=0.0, drift=DARK.to_dict())
    line.show(seen(0))
    capsys.readouterr()
    line.show(seen(0, changed=True, drift=DARK))
    assert capsys.readouterr() == (
        "\n\r\x1b[KDARK  ant 90%  12 ms old  0 dropped",
        "Drift: dark: brightness 0.13, expected 0.24 to 0.75, 0.54 in this scene before\n",
    )


@pytest.mark.parametrize("quiet", [False, True])
def test_a_drift_is_told_where_there_is_no_terminal(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    line = LiveLine(lambda: STATUS, quiet=quiet)
    line.show(seen(0, drift=DARK))
    line.show(seen(0, drift=DARK._replace(state="over", seconds=12.34)))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "Drift: dark: over after 12.3 s"


def test_states_are_told_once_and_only_trouble(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = ""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    line = LiveLine(lambda: STATUS | {"trouble": trouble}, quiet=False)
    line.state("running")
    assert capsys.readouterr() == ("", "")
    line.show(seen(0))
    line.state("stalled")
    out, err = capsys.readouterr()
    assert out.endswith("dropped\n")  # the open line is ended first
    assert err == "no picture for two seconds\n"
    trouble = "rtsp://camera gives no more pictures, and the reason takes more than a line of 80 columns"
    line.state("reconnecting")
    assert capsys.readouterr().err == (
        "source lost, trying again: rtsp://camera gives no more pictures, and the reason\n"
        "  takes more than a line of 80 columns\n"
    )
    trouble = ""
    line.state("running")
    line.state("ended")
    assert capsys.readouterr() == ("", "running again\n")


def test_without_labels_states_are_shown_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    line = LiveLine(lambda: STATUS, quiet=True)
    line.show(seen(0, changed=True))
    line.state("stalled")
    line.close()
    assert capsys.readouterr() == ("", "no picture for two seconds\n")


def test_on_a_real_terminal(place: Path) -> None:
    """A pseudo-terminal of 60 columns: rewritten lines that fit, then the summary on lines of its own."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    command = [sys.executable, "-m", "edgecnn", "camera", "int8.tflite", "--source", "flat", "--headless"]
    variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        command, cwd=place, env={**variables, "PYTHONPATH": str(ROOT)}, stdout=side, stderr=subprocess.STDOUT
    )
    os.close(side)
    text = ""
    while True:
        try:
            text += os.read(main, 4096).decode()
        except OSError:  # the other side is closed
            break
    os.close(main)
    assert process.wait(10) == 0, text
    drawn, *lines = text.replace("\r\n", "\n").split("\n")
    assert drawn.startswith("\r\x1b[K")
    assert all(len(part) < 60 for part in drawn.split("\r\x1b[K"))
    assert re.search(r"(blue|green|red|unknown) \d+%  \d+ ms old  ", drawn)
    assert lines[0].startswith("9 frames")
