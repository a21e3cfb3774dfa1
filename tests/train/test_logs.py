"""What a training leaves to look at."""

import csv
import io
from pathlib import Path

import cv2
import numpy as np

from edgecnn.train.checkpoint import EpochRecord
from edgecnn.train.logs import Logs, curves_png, history_csv

HISTORY = [EpochRecord(i + 1, 1 / (i + 1), 0.5 + i / 10, 0.9, 0.6, 1e-3, 2.0) for i in range(4)]


def events(folder: Path) -> list[tuple[str, int, float]]:
    """(tag, step, value) of every scalar in the folder's event files, in the order they were written."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:  # length, its checksum, the event, its checksum
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    return found


def test_the_csv_holds_every_epoch_and_nothing_where_there_is_no_value() -> None:
    records = [*HISTORY, EpochRecord(5, 0.1, 0.9, None, None, 0.0, 1.0)]
    rows = list(csv.DictReader(io.StringIO(history_csv(records))))
    assert [float(row["loss"]) for row in rows] == [record.loss for record in records]
    assert (rows[3]["val_accuracy"], rows[4]["val_accuracy"]) == ("0.6", "")


def test_curves_are_drawn_for_training_and_validation() -> None:
    picture = cv2.imdecode(np.frombuffer(curves_png(HISTORY), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (480, 1200, 3)
    for color in ("#7a8ba3", "#c2410c"):
        rgb = tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))
        assert np.all(picture == rgb[::-1], axis=2).sum() > 50
    assert curves_png(HISTORY[:1])


def test_tensorboard_gets_every_epoch_once_though_it_was_interrupted(tmp_path: Path) -> None:
    first = Logs(tmp_path, [])
    for i in (1, 2):
        first.write(HISTORY[:i])
    first.close()
    second = Logs(tmp_path, HISTORY[:2])
    for i in (3, 4):
        second.write(HISTORY[:i])
    second.close()
    losses = sorted((step, value) for tag, step, value in events(tmp_path / "tensorboard") if tag == "loss")
    assert [step for step, _ in losses] == [1, 2, 3, 4]
    assert np.allclose([value for _, value in losses], [record.loss for record in HISTORY])
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 5
