"""An MJPEG camera on the network for tests: it can be killed and started again, and its pictures tell their number."""

from __future__ import annotations

import socket
import threading
import time

import cv2
import numpy as np
from numpy.typing import NDArray

BITS = 16
_BLOCK = 16  # pixels; large enough to survive JPEG
SIZE = (BITS * _BLOCK, 64)  # width, height


def numbered(number: int, *, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A BGR picture whose top row of blocks spells its number in black and white."""
    width, height = size
    picture = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        value = 255 if number >> bit & 1 else 0
        picture[: 2 * _BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = value
    return picture


def number_of(picture: NDArray[np.uint8]) -> int:
    """The number that a picture of `numbered` spells."""
    row = picture[_BLOCK, _BLOCK // 2 : BITS * _BLOCK : _BLOCK].astype(int).mean(axis=-1)
    return sum(1 << bit for bit, value in enumerate(row) if value > 127)


class Stream:
    """Serves multipart MJPEG over HTTP at a steady rate, one thread a viewer.

    Attributes:
        address: to give to a player.
        sent_at: `time.monotonic()` of each picture by its number (newest of each viewer).
    """

    def __init__(self, *, rate: float = 30.0, size: tuple[int, int] = SIZE, port: int = 0) -> None:
        self._rate, self._size = rate, size
        self._port = port
        self._started = time.monotonic()
        self._listener: socket.socket | None = None
        self._viewers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.start()

    @property
    def address(self) -> str:
        """See above."""
        return f"http://127.0.0.1:{self._port}/stream.mjpg"

    def sent_at(self, number: int) -> float:
        """`time.monotonic()` at which the picture with this number was due."""
        return self._started + number / self._rate

    def start(self) -> None:
        """Listen, on the same port as before."""
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        self._listener = listener
        thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def kill(self) -> None:
        """Cut every connection and refuse new ones, as a camera that lost its power."""
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for viewer in self._viewers:
            try:
                viewer.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._viewers.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                viewer, _ = listener.accept()
            except OSError:
                return
            self._viewers.append(viewer)
            thread = threading.Thread(target=self._serve, args=(viewer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, viewer: socket.socket) -> None:
        with viewer:
            try:
                viewer.recv(4096)
                viewer.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=edge\r\n\r\n")
                number = int((time.monotonic() - self._started) * self._rate) + 1
                while True:
                    time.sleep(max(0.0, self.sent_at(number) - time.monotonic()))
                    _, content = cv2.imencode(".jpg", numbered(number % (1 << BITS), size=self._size))
                    head = f"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: {content.size}\r\n\r\n"
                    viewer.sendall(head.encode() + content.tobytes() + b"\r\n")
                    number += 1
            except OSError:
                return
