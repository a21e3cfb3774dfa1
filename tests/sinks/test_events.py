"""`EventLog`: the keys of the contract, when a line is due, and files that cannot be written."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import CameraError
from edgecnn.sinks.events import EventLog, event
from tests.camera.seen import BEGIN, DARK, seen


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_an_event_has_the_keys_of_the_contract_and_nothing_of_numpy() -> None:
    observation = seen(2, at=0.25, number=7, score=float(np.float32(0.9)))
    assert event(observation) == {
        "frame": 7,
        "captured_at": BEGIN + 0.25,
        "age_ms": 12.346,
        "label": "cat",
        "index": 2,
        "score": 0.9,
        "latency_ms": 1.2346,
    }
    assert json.loads(json.dumps(event(observation))) == event(observation)


def test_unknown_has_no_index() -> None:
    record = event(seen(None))
    assert (record["label"], record["index"], record["score"]) == ("unknown", None, 0.45)
    assert '"index": null' in json.dumps(record)


def test_a_line_when_the_label_changes_and_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, every=2.0)
    changes = {0, 7, 8, 31}  # in tenths of a second of capture time
    for tenth in range(60):
        log.show(seen(0, at=tenth / 10, changed=tenth in changes))
    log.close()
    # two seconds after each line the next, whatever the reason of the one before
    assert [record["frame"] for record in lines(path)] == [0, 7, 8, 28, 31, 51]


def test_a_line_when_a_drift_begins_or_ends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, every=60.0)
    told = {12: DARK, 30: DARK._replace(state="over", value=0.5, seconds=1.8)}
    for tenth in range(60):
        log.show(seen(0, at=tenth / 10, changed=tenth == 0, drift=told.get(tenth)))
    log.close()
    first, begun, over = lines(path)
    assert [record["frame"] for record in (first, begun, over)] == [0, 12, 30]
    assert "drift" not in first
    assert begun.keys() == over.keys() == first.keys() | {"drift"}
    assert begun["drift"] == {
        "state": "begun", "reason": "dark", "statistic": "brightness", "value": 0.13, "expected": [0.24, 0.75],
        "own": 0.54, "seconds": 0.0,
    }  # fmt: skip
    assert (over["drift"]["state"], over["drift"]["value"], over["drift"]["seconds"]) == ("over", 0.5, 1.8)


def test_time_is_that_of_capture(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    for number in range(3):
        log.show(seen(0, at=number * 9.0, number=number, changed=number == 0))
    log.close()
    assert [record["frame"] for record in lines(path)] == [0, 2]


def test_zero_seconds_are_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, every=0)
    for number in range(20):
        log.show(seen(0, at=0.0 if number < 10 else 0.01, number=number, changed=number == 0))
    log.close()
    assert [record["frame"] for record in lines(path)] == list(range(20))


def test_a_line_can_be_read_at_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, every=0)
    for number in range(3):
        log.show(seen(0, number=number, label="Größe " * 500))  # longer than what is buffered
        text = path.read_text("utf-8")
        assert text.endswith("}\n")
        assert len(text.splitlines()) == number + 1
    log.close()
    assert lines(path)[0]["label"].startswith("Größe Größe")


def test_a_restarted_service_goes_on_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"frame": 99}\n')
    for number in range(2):
        log = EventLog(path)
        log.show(seen(0, number=number, changed=True))
        log.close()
    assert [record["frame"] for record in lines(path)] == [99, 0, 1]


def test_a_new_file_without_a_line_is_removed_and_an_old_one_stays(tmp_path: Path) -> None:
    EventLog(tmp_path / "new.jsonl").close()
    (tmp_path / "old.jsonl").touch()
    EventLog(tmp_path / "old.jsonl").close()
    assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]


@pytest.mark.parametrize(
    ("name", "reason"), [("none/events.jsonl", "No such file or directory"), ("folder", "Is a directory")]
)
def test_a_file_that_cannot_be_opened(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CameraError) as caught:
        EventLog(tmp_path / name)
    assert str(caught.value) == f"cannot write events to {tmp_path / name}: {reason}"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told_by_show_and_not_again_by_close() -> None:
    log = EventLog("/dev/full")
    with pytest.raises(CameraError, match=r"^cannot write events to /dev/full: No space left on device$"):
        log.show(seen(0, changed=True))
    log.close()
