"""A reader whose source is lost, comes back, fails for good, or is closed."""

import threading
import time
from contextlib import closing

import pytest

from edgecnn.camera.capture import Stream as NetworkStream
from edgecnn.camera.frame import Frame
from edgecnn.camera.reader import Reader
from edgecnn.errors import SourceError
from tests.camera.scripted import PATIENCE as LONG
from tests.camera.scripted import Scripted, connecting, pictures, reading, wait_for
from tests.camera.stream import Stream, number_of, numbered


class Waits(threading.Event):
    """An event whose waits take no time and are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return super().wait(0)


def test_a_lost_source_is_opened_again_ever_less_often() -> None:
    first, second = Scripted(pictures(0, 3), live=True), Scripted(pictures(3, 6), live=True, gated=True)
    refused = [SourceError(f"refused {n}") for n in range(8)]
    reader = Reader(connecting(first, *refused, second))
    waits = Waits()
    vars(reader)["_stop"] = waits
    reader.start()
    second.wait_asked(1)
    assert waits.seconds == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1, 1])
    assert (reader.state, reader.trouble, reader.reconnects) == ("reconnecting", "refused 7", 0)
    old = reader.take(LONG)
    assert old is not None
    assert old.number == 2
    second.let(1)
    frame = reader.take(LONG)
    assert frame is not None
    assert frame.number == 3  # numbers go on
    assert number_of(frame.pixels) == 3
    assert (reader.state, reader.trouble, reader.reconnects) == ("running", "", 1)
    assert (first.closed, second.closed) == (1, 0)
    second.open_gate()
    wait_for(lambda: len(waits.seconds) > 9)
    assert waits.seconds[9] == pytest.approx(0.1)  # it gave pictures, so it starts anew
    reader.close()
    assert second.closed >= 1


def test_a_source_that_opens_but_gives_nothing_is_not_tried_without_a_pause() -> None:
    mute = [Scripted([], live=True) for _ in range(6)]
    back = Scripted(pictures(1, 2), live=True, gated=True)
    reader = Reader(connecting(Scripted(pictures(0, 1), live=True), *mute, back))
    waits = Waits()
    vars(reader)["_stop"] = waits
    reader.start()
    back.wait_asked(1)
    assert waits.seconds == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1, 1])
    assert (reader.reconnects, reader.state) == (0, "reconnecting")
    assert [source.closed for source in mute] == [1] * 6
    back.open_gate()
    reader.close()


def test_each_return_counts_once() -> None:
    sources = [Scripted(pictures(5 * n, 5 * n + 5), live=True) for n in range(4)]
    sources[3] = Scripted(pictures(15, 16), live=True, gated=True)
    reader = Reader(connecting(*sources))
    vars(reader)["_stop"] = Waits()
    reader.start()
    sources[3].give(1)
    frame = reader.take(LONG)
    assert frame is not None
    assert (frame.number, reader.reconnects, reader.dropped) == (15, 3, 15)
    sources[3].open_gate()
    reader.close()


def test_skipped_pictures_are_counted_over_all_reconnects() -> None:
    sources = [Scripted(pictures(0, 1), live=True, skipped=n) for n in (2, 5)]
    last = Scripted(pictures(0, 1), live=True, gated=True, skipped=10)
    reader = Reader(connecting(*sources, last))
    vars(reader)["_stop"] = Waits()
    reader.start()
    last.wait_asked(1)
    assert reader.skipped == 17
    last.skipped = 11
    assert reader.skipped == 18
    last.open_gate()
    reader.close()


def test_a_source_that_goes_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.camera.reader._STALLED", 0.3)
    source = Scripted(pictures(0, 2), live=True, gated=True)
    with reading(source) as reader:
        assert reader.state == "running"
        time.sleep(0.31)
        assert reader.state == "stalled"
        source.give(1)
        assert reader.state == "running"


def test_who_reads_a_folder_slowly_does_not_stall_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.camera.reader._STALLED", 0.01)
    with reading(Scripted(pictures(0, 3))) as reader:
        time.sleep(0.02)
        assert reader.state == "running"


@pytest.mark.parametrize("error", [ZeroDivisionError("bug"), SourceError("the disk is broken")])
def test_what_cannot_be_mended_is_raised_where_pictures_are_taken(error: Exception) -> None:
    source = Scripted([numbered(0), error], live=isinstance(error, ZeroDivisionError))
    with reading(source) as reader:
        wait_for(lambda: reader.state == "ended")
        assert reader.take(LONG) is not None  # what came before is still good
        with pytest.raises(type(error), match=str(error)):
            reader.take(LONG)
        assert source.closed >= 1


def test_an_error_of_another_kind_while_reconnecting_is_raised() -> None:
    reader = Reader(connecting(Scripted([numbered(0)], live=True), ZeroDivisionError("bug")))
    reader.start()
    assert reader.take(LONG) is not None
    with pytest.raises(ZeroDivisionError):
        reader.take(LONG)
    reader.close()


def test_only_a_source_that_worked_is_tried_again() -> None:
    reader = Reader(connecting(SourceError("no such camera"), Scripted([])))
    with pytest.raises(SourceError, match="no such camera"):
        reader.start()
    reader.close()


# The end


def test_close_while_pictures_wait() -> None:
    source = Scripted(pictures(0, 9))
    with reading(source) as reader:
        source.wait_asked(2)
        begin = time.monotonic()
        reader.close()
        assert time.monotonic() - begin < 0.5
        assert source.closed >= 1


def test_close_while_a_clip_plays() -> None:
    source = Scripted(pictures(0, 9), rate=0.1)
    with reading(source) as reader:
        assert reader.take(LONG) is not None
        begin = time.monotonic()
        reader.close()
        assert time.monotonic() - begin < 0.5
        assert source.closed >= 1


def test_close_while_reconnecting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.camera.reader._FIRST_WAIT", 30.0)
    source = Scripted(pictures(0, 1), live=True)
    with reading(source) as reader:
        wait_for(lambda: source.closed == 1)
        begin = time.monotonic()
        reader.close()
        assert time.monotonic() - begin < 0.5


def test_a_read_that_hangs_does_not_hold_up_close() -> None:
    source = Scripted(pictures(0, 1), live=True, gated=True)
    with reading(source) as reader:
        source.wait_asked(1)
        begin = time.monotonic()
        reader.close()
        assert time.monotonic() - begin < 3
        source.open_gate()
        wait_for(lambda: source.closed == 1)


def test_close_before_start_and_twice() -> None:
    Reader(connecting()).close()
    with reading(Scripted(pictures(0, 9))) as reader:
        reader.close()
        reader.close()


def test_who_waits_for_a_picture_is_woken_by_close() -> None:
    source = Scripted(pictures(0, 9), rate=0.05)
    with reading(source) as reader:
        assert reader.take(LONG) is not None
        got: list[Frame | None] = []
        waiting = threading.Thread(target=lambda: got.append(reader.take(LONG)))
        begin = time.monotonic()
        waiting.start()
        reader.close()
        waiting.join()
        assert time.monotonic() - begin < 2
        assert len(got) == 1


# A real stream


def test_a_stream_killed_and_started_three_times_resumes_within_two_seconds() -> None:
    stream = Stream(rate=30)
    numbers: list[int] = []

    def seconds_until(sent_after: float) -> float:
        begin = time.monotonic()
        while time.monotonic() - begin < LONG:
            if frame := reader.take(0.1):
                numbers.append(frame.number)
                if stream.sent_at(number_of(frame.pixels)) > sent_after:
                    return time.monotonic() - begin
        raise AssertionError(f"no picture; {reader.state}: {reader.trouble}")

    reader = Reader(lambda: NetworkStream(stream.address))
    reader.start()
    with closing(reader):
        seconds_until(0)
        for down in (0.1, 0.6, 1.2):
            stream.kill()
            wait_for(lambda: reader.state == "reconnecting")
            time.sleep(down)
            stream.start()
            assert seconds_until(time.monotonic()) < 2.0
            assert reader.state == "running"
        assert reader.reconnects == 3
        assert numbers == sorted(set(numbers))
    stream.kill()
