"""One message to many viewers over HTTP: each gets the newest when its socket has room, and misses the others."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import Protocol


class Response(Protocol):
    """The part of a streamed HTTP response that is used here."""

    async def write(self, data: bytes) -> None:
        """Send bytes; a ConnectionError where the viewer is gone."""


class _Viewer:
    def __init__(self, response: Response, transport: asyncio.WriteTransport, seen: bytes) -> None:
        self.response = response
        self.transport = transport
        self.seen = seen
        self.progress = time.monotonic()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Broadcast:
    """Sends messages of which only the newest matters. All methods belong to the event loop's thread.

    A viewer holds at most one message beside what the system's socket buffers; the bytes are shared by all.

    Args:
        limit: viewers at a time.
        stuck_s: a viewer that takes nothing for so many seconds is dropped.

    Attributes:
        watched: whether there are viewers; may be read from any thread.
    """

    # The transport never pauses the writer, who looks at its buffer instead and skips a viewer that is behind.
    _NEVER = 1 << 30
    # The system's own would grow to megabytes, which is ten seconds of old pictures for a viewer on a slow network.
    _SYSTEM_BYTES = 1 << 16

    def __init__(self, limit: int, stuck_s: float = 30.0) -> None:
        self.watched = False
        self._limit = limit
        self._stuck_s = stuck_s
        self._newest = b""
        self._viewers: set[_Viewer] = set()

    @property
    def full(self) -> bool:
        """Whether there is no room for one more viewer."""
        return len(self._viewers) >= self._limit

    async def watch(self, response: Response, transport: asyncio.WriteTransport) -> None:
        """Send a viewer every message that comes from now on, until `close`; cancelled where the viewer leaves."""
        transport.set_write_buffer_limits(high=self._NEVER)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._SYSTEM_BYTES)
        viewer = _Viewer(response, transport, self._newest)
        self._viewers.add(viewer)
        self.watched = True
        try:
            await viewer.ended
        finally:
            self._viewers.discard(viewer)
            self.watched = bool(self._viewers)

    async def publish(self, message: bytes) -> None:
        """Make a message the newest, and deliver it."""
        self._newest = message
        await self.deliver()

    async def deliver(self) -> None:
        """Send the newest message to those who have room and have not had it; drop those who are stuck."""
        now = time.monotonic()
        for viewer in tuple(self._viewers):
            if viewer.transport.get_write_buffer_size():
                if now - viewer.progress > self._stuck_s:
                    viewer.transport.abort()
                continue
            viewer.progress = now
            if viewer.seen is not self._newest and not viewer.transport.is_closing():
                viewer.seen = self._newest
                with suppress(ConnectionError):  # it left; its handler is told by the server
                    await viewer.response.write(self._newest)

    def close(self) -> None:
        """End every viewer's stream; those who are behind are cut off."""
        for viewer in self._viewers:
            if viewer.transport.get_write_buffer_size():
                viewer.transport.abort()
            if not viewer.ended.done():
                viewer.ended.set_result(None)
