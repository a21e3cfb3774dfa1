"""What viewers of the web page cost the inference: frames per second with 20 of them, against none.

    python tools/serve_load.py BUNDLE CLIP [--viewers 20] [--blocks 12] [--seconds 2] [--size 1280x720]

A camera gives the clip's frames from memory as fast as they are classified, and each is shown to the web server.
Blocks without viewers and blocks with them take turns; the ratio is the median over neighbours, so that a machine
that is busy for a while counts on both sides. The viewers are a process of their own on the same machine; one of
them never reads. They take what the system hands them and look at nothing. Prints a line a block, then the ratio.
"""

import argparse
import itertools
import json
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn import Classifier
from edgecnn.camera.camera import Camera
from edgecnn.camera.frame import Picture
from edgecnn.web.server import WebServer

CLIP_FRAMES = 100


def watch(port: int, viewers: int) -> None:
    """Be the viewers until standard input ends; print the bytes and pictures that each received."""
    received, pictures = [0] * viewers, [0] * viewers
    with ExitStack() as stack:
        waiting = stack.enter_context(selectors.DefaultSelector())
        for number in range(viewers):
            viewer = stack.enter_context(socket.socket())
            if not number:  # the first one never reads, and nor may its system for long
                viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            viewer.connect(("127.0.0.1", port))
            viewer.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if number:
                waiting.register(viewer, selectors.EVENT_READ, number)
        waiting.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            for key, _ in waiting.select():
                if key.data is None:
                    print(json.dumps({"bytes": received, "pictures": pictures}), flush=True)
                    return
                content = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]  # sockets alone are registered
                received[key.data] += len(content)
                pictures[key.data] += content.count(b"Content-Length")
                if not content:
                    waiting.unregister(key.fileobj)


class Loop:
    """A recording that never ends, from memory."""

    live = False
    rate: float | None = None
    skipped = 0

    def __init__(self, frames: list[NDArray[np.uint8]]) -> None:
        self._frames = itertools.cycle(frames)

    def read(self, into: NDArray[np.uint8] | None) -> Picture:
        """The next picture, copied as a decoder would write it."""
        frame = next(self._frames)
        if into is None or into.shape != frame.shape:
            return Picture(frame, time.monotonic())
        np.copyto(into, frame)
        return Picture(into, time.monotonic())

    def close(self) -> None:
        """Nothing is open."""


class Inference:
    """A camera whose every frame is classified on a thread of its own and shown to a web server."""

    def __init__(self, classifier: Classifier, frames: list[NDArray[np.uint8]]) -> None:
        self.camera = Camera(classifier, lambda: Loop(frames), every_frame=True)
        self.server = WebServer("127.0.0.1:0", labels=classifier.labels, status=self.camera.status)
        self.server.start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for observation in self.camera:
            self.server.show(observation)

    def fps(self, seconds: float) -> float:
        """Frames per second over so many seconds from now."""
        count, started = self.camera.figures.frames, time.monotonic()
        time.sleep(seconds)
        return (self.camera.figures.frames - count) / (time.monotonic() - started)

    def close(self) -> None:
        """End all threads."""
        self.camera.stop()
        self._thread.join()
        self.camera.close()
        self.server.close()


def read_frames(clip: str, width: int, height: int) -> list[NDArray[np.uint8]]:
    """The first frames of a clip, in the size of a camera's."""
    capture = cv2.VideoCapture(clip)
    frames: list[NDArray[np.uint8]] = []
    while len(frames) < CLIP_FRAMES:
        found, frame = capture.read()
        if not found:
            break
        frames.append(np.asarray(cv2.resize(frame, (width, height)), np.uint8))
    capture.release()
    return frames


def block(inference: Inference, viewers: int, seconds: float) -> tuple[float, str]:
    """Frames per second of one block, and a word on what the viewers got."""
    if not viewers:
        return inference.fps(seconds), ""
    server = inference.server
    port = server.url.rstrip("/").rpartition(":")[2]
    command = [sys.executable, str(Path(__file__).resolve()), "--watch", port, str(viewers)]
    encodes = server.encodes
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(1)  # Python starts
        fps = inference.fps(seconds)
        got = json.loads(process.communicate()[0])
    seen = got["pictures"][1:]
    megabytes = sum(got["bytes"]) / 1e6
    return fps, f"{server.encodes - encodes} encodes, {min(seen)} to {max(seen)} a viewer, {megabytes:.0f} MB in all"


def main() -> None:
    """Run the blocks in turn and print medians and the ratio."""
    if sys.argv[1:2] == ["--watch"]:
        return watch(int(sys.argv[2]), int(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("clip")
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=12, help="of each kind")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--size", default="1280x720")
    arguments = parser.parse_args()
    classifier = Classifier(arguments.bundle)
    width, height = (int(part) for part in arguments.size.split("x"))
    frames = read_frames(arguments.clip, width, height)
    inference = Inference(classifier, frames)
    inference.fps(1.0)
    found: dict[int, list[float]] = {0: [], arguments.viewers: []}
    try:
        for _ in range(arguments.blocks):
            for viewers, values in found.items():
                fps, word = block(inference, viewers, arguments.seconds)
                values.append(fps)
                print(f"{viewers:3} viewers {fps:8.1f} fps  {word}", flush=True)
    finally:
        inference.close()
    alone, watched = found.values()
    figures = {
        "fps_alone": round(statistics.median(alone), 1),
        "fps_watched": round(statistics.median(watched), 1),
        "ratio": round(statistics.median(some / none for none, some in zip(alone, watched, strict=True)), 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
