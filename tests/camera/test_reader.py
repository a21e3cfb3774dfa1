"""The reader: newest only, every picture counted, no frame changed under one's eyes, lost sources come back."""

import threading
import time

import numpy as np
import pytest

from edgecnn.camera.frame import Frame
from edgecnn.camera.reader import Reader
from tests.camera.scripted import PATIENCE as LONG
from tests.camera.scripted import Scripted, pictures, reading
from tests.camera.stream import number_of, numbered


def taken(reader: Reader) -> list[Frame]:
    """Every frame until the end, without looking at one for long."""
    frames = []
    while not reader.ended:
        if frame := reader.take(LONG):
            frames.append(frame._replace(pixels=frame.pixels.copy()))
    return frames


# Newest only


def test_only_the_newest_is_handed_out_and_the_others_are_counted() -> None:
    source = Scripted(pictures(0, 100), live=True, gated=True)
    with reading(source) as reader:
        numbers, dropped = [], []
        for more in (1, 5, 1, 30):
            source.give(more)
            frame = reader.take(LONG)
            assert frame is not None
            assert number_of(frame.pixels) == frame.number
            numbers.append(frame.number)
            dropped.append(reader.dropped)
        assert numbers == [0, 5, 6, 36]
        assert dropped == [0, 4, 4, 33]
        assert reader.take(0) is None  # no number twice


def test_what_is_read_is_taken_or_dropped_or_waits() -> None:
    source = Scripted(pictures(0, 3000), live=True)
    numbers: list[int] = []
    with reading(source) as reader:
        while reader.state == "running":
            if frame := reader.take(0.01):
                numbers.append(frame.number)
                assert number_of(frame.pixels) == frame.number
        waiting = reader.take(0)
        assert len(numbers) + (waiting is not None) + reader.dropped == 3000
    assert numbers == sorted(set(numbers))


def test_take_waits_for_a_picture_and_no_longer() -> None:
    source = Scripted(pictures(0, 10), live=True, gated=True)
    with reading(source) as reader:
        begin = time.monotonic()
        assert reader.take(0.05) is None
        assert 0.05 <= time.monotonic() - begin < 2
        threading.Timer(0.05, source.let, [1]).start()
        frame = reader.take(LONG)
        assert frame is not None
        assert frame.number == 0
        assert time.monotonic() - begin < 5


def test_capture_is_told_on_both_clocks() -> None:
    source = Scripted(pictures(0, 1), live=True, gated=True)
    with reading(source) as reader:
        before, wall_before = time.monotonic(), time.time()
        source.let(1)
        frame = reader.take(LONG)
        assert frame is not None
        assert before <= frame.captured <= time.monotonic()
        assert wall_before - 0.01 <= frame.captured_at <= time.time() + 0.01
        assert frame.captured_at - wall_before == pytest.approx(frame.captured - before, abs=0.01)


# Recordings


@pytest.mark.parametrize(("rate", "every_frame"), [(None, False), (None, True), (1.0, True)])
def test_where_pictures_wait_none_is_dropped(rate: float | None, every_frame: bool) -> None:
    source = Scripted(pictures(0, 200), rate=rate)
    with reading(source, every_frame=every_frame) as reader:
        assert reader.waits
        frames = taken(reader)
        assert [frame.number for frame in frames] == list(range(200))
        assert [number_of(frame.pixels) for frame in frames] == list(range(200))
        assert (reader.dropped, reader.state) == (0, "ended")
        assert reader.take(LONG) is None


def test_a_waiting_reader_reads_one_picture_ahead_of_the_one_that_waits() -> None:
    source = Scripted(pictures(0, 20))
    with reading(source) as reader:
        for frames_taken in range(5):
            source.wait_asked(frames_taken + 2)
            time.sleep(0.01)
            assert source.asked == frames_taken + 2
            reader.take(LONG)
            assert reader.state == "running"


def test_a_clip_plays_at_its_own_rate() -> None:
    rate = 100.0
    with reading(Scripted(pictures(0, 51), rate=rate)) as reader:
        begin = time.monotonic()
        frames = taken(reader)
        seconds = time.monotonic() - begin
        assert not reader.waits
        assert len(frames) + reader.dropped == 51
        assert frames[-1].number == 50
    assert 0.45 < seconds < 1.5
    due = [frame.captured - frame.number / rate for frame in frames]
    assert max(due) - min(due) < 0.2  # neither ever faster nor ever slower


def test_a_clips_picture_is_as_old_as_its_showing() -> None:
    with reading(Scripted(pictures(0, 9), rate=4.0)) as reader:
        assert reader.take(LONG) is not None
        frame = reader.take(LONG)  # read at once, and shown a quarter of a second later
        assert frame is not None
        assert time.monotonic() - frame.captured < 0.15


def test_a_clip_does_not_wait_for_who_is_slow() -> None:
    with reading(Scripted(pictures(0, 31), rate=100.0)) as reader:
        frames = []
        while not reader.ended:
            if frame := reader.take(LONG):
                frames.append(frame.number)
                time.sleep(0.05)
        assert reader.dropped == 31 - len(frames)
        assert 4 <= len(frames) <= 12


def test_a_recording_without_pictures_has_ended() -> None:
    with reading(Scripted([])) as reader:
        assert reader.take(LONG) is None
        assert reader.ended
        assert reader.state == "ended"


# Memory


def test_a_frame_stays_as_it_is_until_the_next_is_taken() -> None:
    source = Scripted(pictures(0, 400), live=True, gated=True)
    with reading(source) as reader:
        source.let(1)
        for _ in range(20):
            frame = reader.take(LONG)
            assert frame is not None
            before = frame.pixels.copy()
            source.give(15)
            np.testing.assert_array_equal(frame.pixels, before)
            assert number_of(frame.pixels) == frame.number


def test_no_frame_is_written_while_it_is_in_use() -> None:
    numbers = []
    with reading(Scripted(pictures(0, 4000), live=True)) as reader:
        while reader.state == "running":
            if frame := reader.take(0.01):
                before = frame.pixels.copy()
                time.sleep(0.002)
                np.testing.assert_array_equal(frame.pixels, before)
                numbers.append(frame.number)
        assert len(numbers) > 5
        assert reader.dropped > len(numbers)


def test_the_same_memory_is_used_again_and_again() -> None:
    with reading(Scripted(pictures(0, 300))) as reader:
        addresses = set()
        while frame := reader.take(LONG):
            addresses.add(frame.pixels.ctypes.data)
            assert frame.pixels.flags.c_contiguous
    assert 2 <= len(addresses) <= 4  # three, and where the first picture came in


def test_what_was_read_into_that_memory_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    copied = []
    monkeypatch.setattr(np, "copyto", lambda *arguments: copied.append(arguments))
    with reading(Scripted(pictures(0, 30))) as reader:
        reader.take(LONG)
        while frame := reader.take(LONG):
            assert number_of(frame.pixels) == frame.number
    assert len(copied) == 1  # the first, when the size was not known yet


def test_the_size_may_change_on_the_way() -> None:
    small, large = (256, 64), (320, 96)
    sizes = [small, small, large, large, small, large]
    with reading(Scripted([numbered(n, size=size) for n, size in enumerate(sizes)])) as reader:
        held = reader.take(LONG)
        assert held is not None
        for number, (width, height) in enumerate(sizes[1:], 1):
            frame = reader.take(LONG)
            assert frame is not None
            assert frame.pixels.shape == (height, width, 3)
            np.testing.assert_array_equal(frame.pixels, numbered(number, size=(width, height)))


def test_a_frame_in_use_survives_a_change_of_size() -> None:
    source = Scripted([numbered(n, size=(256, 64 + 2 * n)) for n in range(9)], live=True, gated=True)
    with reading(source) as reader:
        source.let(1)
        frame = reader.take(LONG)
        assert frame is not None
        source.give(8)
        np.testing.assert_array_equal(frame.pixels, numbered(0, size=(256, 64)))
