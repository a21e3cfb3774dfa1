"""What the web server's tests share: a camera that is none, and viewers made of plain sockets."""

import http.client
import json
import socket
import threading
import time
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from edgecnn.camera.frame import Frame
from edgecnn.camera.observation import Observation
from edgecnn.web.server import WebServer

LABELS = ("ant", "bee", "cat")


def observe(number: int, width: int = 320, height: int = 180) -> Observation:
    """A picture whose square wanders and whose label changes with every tenth."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    x = number * 7 % (width - 40)
    pixels[60:100, x : x + 40] = (0, 200, 255)
    index = number // 10 % len(LABELS)
    probabilities = np.full(len(LABELS), 0.1, np.float32)
    probabilities[index] = 0.8
    frame = Frame(pixels, number, time.time(), time.monotonic())
    return Observation(frame, LABELS[index], index, 0.8, probabilities, number % 10 == 0, 5.0, 2.0)


class Producer:
    """A thread that shows a server pictures, until it is left; a context manager that closes the server too.

    Attributes:
        shown: pictures so far.
        longest_s: that the server kept the thread for one picture.
        paused: set by a test to stop the pictures for a while.
    """

    def __init__(self, server: WebServer, fps: float = 50.0) -> None:
        self.server = server
        self.shown = 0
        self.longest_s = 0.0
        self.paused = False
        self._pause_s = 1 / fps
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="producer")

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            if self.paused:
                continue
            observation = observe(self.shown)
            started = time.perf_counter()
            self.server.show(observation)
            self.longest_s = max(self.longest_s, time.perf_counter() - started)
            observation.frame.pixels[:] = 0  # the camera uses its memory again
            observation.probabilities[:] = 0
            self.shown += 1

    def __enter__(self) -> "Producer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.server.close()


def make_server(**options: Any) -> WebServer:
    """A server on a free port, not yet started."""
    arguments: dict[str, Any] = {"labels": LABELS, "status": lambda: {"state": "running", "fps": 50.0}} | options
    return WebServer(arguments.pop("address", "127.0.0.1:0"), **arguments)


def port_of(server: WebServer) -> int:
    return int(server.url.split("://")[1].split("/")[0].rpartition(":")[2])


def get(server: WebServer, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    """One request to the server on this machine; the body of the answer is yet to be read."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=5)
    connection.request("GET", path, headers={"Connection": "close", **headers})
    return connection.getresponse()  # which owns the socket, for the server closes the connection behind it


def read_part(stream: http.client.HTTPResponse) -> bytes:
    """The next JPEG of an MJPEG stream; its boundary has been read."""
    assert stream.readline() == b"Content-Type: image/jpeg\r\n"
    name, length = stream.readline().split(b":")
    assert name == b"Content-Length"
    assert stream.readline() == b"\r\n"
    jpeg = stream.read(int(length))
    assert stream.read(2) == b"\r\n"
    assert stream.readline() == b"--frame\r\n"
    return jpeg


def open_stream(server: WebServer) -> http.client.HTTPResponse:
    """A viewer of the stream, behind the first boundary."""
    stream = get(server, "/stream")
    assert stream.status == 200
    assert stream.readline() == b"--frame\r\n"
    return stream


def open_stuck(server: WebServer) -> socket.socket:
    """A viewer of the stream who never reads, and whose system holds as little as it can."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect(("127.0.0.1", port_of(server)))
    viewer.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return viewer


def read_event(events: http.client.HTTPResponse) -> dict[str, Any]:
    """The next server-sent event."""
    line = events.readline()
    assert line.startswith(b"data: "), line
    assert events.readline() == b"\n"
    event: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
    return event


def decode(jpeg: bytes) -> Any:
    """The picture of a JPEG, (height, width, 3)."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture
