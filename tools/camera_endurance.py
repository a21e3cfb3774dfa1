"""Does the camera loop grow? Memory, threads and descriptors over many frames.

    python -m tools.camera_endurance.py BUNDLE CLIP [--frames 100000] [--serve]

The clip is played again and again through the whole loop: reading, inference, smoothing, events on every frame and,
with --serve, the web page with one viewer. Memory is the resident set, after the first 1,000 frames and at the end;
threads and descriptors are counted before the start and after the end.
"""

import argparse
import gc
import json
import os
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn import Camera, Classifier, EventLog
from edgecnn.camera.capture import Clip
from edgecnn.camera.frame import Picture

WARM_UP = 1000


class Loop:
    """A clip that begins again when it ends; pictures wait until they are taken."""

    live = False
    rate: float | None = None
    skipped = 0

    def __init__(self, path: str) -> None:
        self._path, self._clip = path, Clip(path)

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """The next picture, the first one after the last."""
        picture = self._clip.read(into)
        if picture is None:
            self._clip.close()
            self._clip = Clip(self._path)
            picture = self._clip.read(into)
        return picture

    def close(self) -> None:
        """Close the clip."""
        self._clip.close()


def rss_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors() -> int:
    """Open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def watch(url: str, stop: threading.Event) -> None:
    """A viewer of the live picture."""
    with urllib.request.urlopen(url.replace("/?", "/stream?") if "?" in url else url + "stream") as answer:
        while not stop.is_set() and answer.read1(65536):
            pass


def run(bundle: Path, clip: Path, frames: int, *, serve: bool) -> dict[str, Any]:
    """Run the loop and measure."""
    classifier = Classifier(bundle)
    before = threading.active_count(), descriptors()
    start = memory = 0.0
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder, Camera(classifier, lambda: Loop(str(clip))) as camera:
        sinks: list[Any] = [EventLog(Path(folder) / "events.jsonl", every=0)]
        if serve:
            from edgecnn import WebServer

            server = WebServer("127.0.0.1:0", labels=classifier.labels, status=camera.status)
            server.start()
            sinks.append(server)
            viewer = threading.Thread(target=watch, args=(server.url, stop), daemon=True)
            viewer.start()
        for number, seen in enumerate(camera, 1):
            for sink in sinks:
                sink.show(seen)
            if number == WARM_UP:
                start, memory = time.perf_counter(), rss_mb()
            if number == frames:
                break
        end = rss_mb()
        seconds = time.perf_counter() - start
        stop.set()
        for sink in sinks:
            sink.close()
        if serve:
            viewer.join(5)
    gc.collect()
    after = threading.active_count(), descriptors()
    return {
        "frames": frames,
        "fps": round((frames - WARM_UP) / seconds, 1),
        "rss_mb": [round(memory, 2), round(end, 2)],
        "growth_mb": round(end - memory, 2),
        "threads": [before[0], after[0]],
        "descriptors": [before[1], after[1]],
    }


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--serve", action="store_true")
    options: Any = parser.parse_args()
    print(json.dumps(run(options.bundle, options.clip, options.frames, serve=options.serve)))


if __name__ == "__main__":
    main()
