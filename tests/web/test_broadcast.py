import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from edgecnn.web.broadcast import Broadcast


class Wire:
    """Stands for a response and its transport; holds back what is written while it is blocked."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.buffered = self.system_bytes = 0
        self.blocked = self.aborted = self.gone = False

    async def write(self, data: bytes) -> None:
        if self.gone:
            raise ConnectionResetError
        self.got.append(data)
        self.buffered = len(data) if self.blocked else 0

    def set_write_buffer_limits(self, high: int) -> None:
        assert high > 1 << 24

    def get_extra_info(self, name: str) -> "Wire":
        assert name == "socket"
        return self

    def setsockopt(self, level: int, option: int, value: int) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_SNDBUF)
        self.system_bytes = value

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        self.aborted = True


async def join(broadcast: Broadcast) -> tuple[Wire, asyncio.Task[None]]:
    wire = Wire()
    task = asyncio.create_task(broadcast.watch(wire, cast(asyncio.WriteTransport, wire)))
    await asyncio.sleep(0)
    return wire, task


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_every_viewer_gets_the_same_bytes_once() -> None:
    async def test() -> None:
        broadcast = Broadcast(5)
        wires = [(await join(broadcast))[0] for _ in range(3)]
        for message in (b"a", b"b"):
            await broadcast.publish(message)
            await broadcast.deliver()
        assert [wire.got for wire in wires] == [[b"a", b"b"]] * 3
        assert all(wire.got[0] is wires[0].got[0] for wire in wires)
        broadcast.close()

    run(test())


def test_a_viewer_that_is_behind_holds_one_message_and_then_gets_the_newest() -> None:
    async def test() -> None:
        broadcast = Broadcast(5)
        (slow, _), (fast, _) = [await join(broadcast) for _ in range(2)]
        slow.blocked = True
        for message in (b"a", b"b", b"c"):
            await broadcast.publish(message)
        assert slow.got == [b"a"]
        assert fast.got == [b"a", b"b", b"c"]
        slow.blocked, slow.buffered = False, 0
        await broadcast.deliver()
        assert slow.got == [b"a", b"c"]
        broadcast.close()

    run(test())


def test_the_system_buffers_few_pictures() -> None:
    async def test() -> None:
        broadcast = Broadcast(5)
        wire, _ = await join(broadcast)
        assert 1 << 14 <= wire.system_bytes <= 1 << 17
        broadcast.close()

    run(test())


def test_who_comes_later_gets_nothing_old() -> None:
    async def test() -> None:
        broadcast = Broadcast(5)
        await broadcast.publish(b"old")
        wire, _ = await join(broadcast)
        await broadcast.deliver()
        assert wire.got == []
        await broadcast.publish(b"new")
        assert wire.got == [b"new"]
        broadcast.close()

    run(test())


def test_a_stuck_viewer_is_dropped_and_one_that_reads_is_not() -> None:
    async def test() -> None:
        broadcast = Broadcast(5, stuck_s=0.02)
        (stuck, _), (fast, _) = [await join(broadcast) for _ in range(2)]
        stuck.blocked = True
        await broadcast.publish(b"a")
        assert not stuck.aborted
        await asyncio.sleep(0.04)
        await broadcast.deliver()
        assert stuck.aborted
        assert not fast.aborted
        broadcast.close()

    run(test())


def test_a_viewer_that_is_gone_disturbs_nobody() -> None:
    async def test() -> None:
        broadcast = Broadcast(5)
        viewers = [await join(broadcast) for _ in range(3)]
        viewers[1][0].gone = True
        await broadcast.publish(b"a")
        assert [len(wire.got) for wire, _ in viewers] == [1, 0, 1]
        broadcast.close()

    run(test())


def test_it_knows_whether_anyone_watches_and_when_it_is_full() -> None:
    async def test() -> None:
        broadcast = Broadcast(2)
        assert (broadcast.watched, broadcast.full) == (False, False)
        _, first = await join(broadcast)
        assert (broadcast.watched, broadcast.full) == (True, False)
        await join(broadcast)
        assert broadcast.full
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (broadcast.watched, broadcast.full) == (True, False)
        broadcast.close()
        await asyncio.sleep(0.01)
        assert not broadcast.watched

    run(test())


def test_close_ends_all_and_cuts_off_who_is_behind() -> None:
    async def test() -> None:
        broadcast = Broadcast(5)
        (slow, slow_task), (fast, fast_task) = [await join(broadcast) for _ in range(2)]
        slow.blocked = True
        await broadcast.publish(b"a")
        broadcast.close()
        broadcast.close()
        await asyncio.gather(slow_task, fast_task)
        assert (slow.aborted, fast.aborted) == (True, False)

    run(test())
