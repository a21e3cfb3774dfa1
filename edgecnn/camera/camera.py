"""`Camera`: newest frame, region of interest, inference, smoothing; an observation for each."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgecnn.camera.drift import Drift, DriftWatch
from edgecnn.camera.figures import Figures
from edgecnn.camera.labeller import Labeller
from edgecnn.camera.observation import Observation
from edgecnn.camera.reader import Reader
from edgecnn.camera.source import Source, is_live, open_source
from edgecnn.data.statistics import picture_statistics
from edgecnn.errors import CameraError
from edgecnn.measure.board import temperature_c, throttled

if TYPE_CHECKING:
    import os

    from edgecnn.camera.frame import Frame
    from edgecnn.runtime.classifier import Classifier

_TICK = 0.25  # seconds after which a wait for frames looks around
_BOARD_EVERY = 5.0  # seconds between two looks at temperature and throttling


class Camera:
    """Classifies the newest picture of a source, again and again.

        with edgecnn.Camera(classifier, "0") as camera:
            for seen in camera:
                print(seen.label, seen.score)

    Reading and inference overlap; a picture that is replaced before inference gets to it is dropped, never queued.

    Args:
        classifier: the model; used by the thread that iterates.
        source: what `open_source` takes, the number of a camera, or a function that opens a `Source`.
        size: (width, height) to ask a camera for.
        every_frame: classify every picture of a recording, as fast as possible.
        roi, smooth, threshold, margin: see `Labeller`.
        drift: watch whether pictures and scores are still like those at conversion, see `edgecnn.camera.drift`. Models
            whose bundle does not say what those were like, and folders of images, which tell no time, are not watched.
        on_state: called with "running", "stalled", "reconnecting" or "ended" when that changes, by the thread that
            iterates.

    Attributes:
        classifier, roi: as given.
        figures: counts and times so far.
        reader: what reads the source.
        watch: the drift watch; None for none.

    Raises:
        CameraError: an argument outside its range.
        SourceError: the source cannot be opened.
    """

    def __init__(
        self,
        classifier: Classifier,
        source: int | str | os.PathLike[str] | Callable[[], Source],
        *,
        size: tuple[int, int] | None = None,
        every_frame: bool = False,
        roi: tuple[int, int, int, int] | None = None,
        smooth: int = 5,
        threshold: float | None = None,
        margin: float = 0.1,
        drift: bool = True,
        on_state: Callable[[str], None] | None = None,
    ) -> None:
        self.classifier, self.roi = classifier, roi
        self.figures = Figures()
        self._labeller = Labeller(classifier, roi=roi, smooth=smooth, threshold=threshold, margin=margin)
        connect = source if callable(source) else functools.partial(open_source, str(source), size=size)
        if every_frame and not callable(source) and is_live(str(source)):
            raise CameraError("expected a file or folder to classify every frame of, got a camera or an address")
        self.reader = Reader(connect, every_frame=every_frame)
        self._on_state = on_state or (lambda state: None)
        self._state = ""
        self._label: str | None = None
        self._stop = threading.Event()
        self._board: dict[str, Any] = {"temperature_c": None, "throttled": None}
        self._hottest: float | None = None
        self._board_due = 0.0
        self.reader.start()
        self.watch: DriftWatch | None = None
        if drift and classifier.reference and not (self.reader.waits and self.reader.rate is None):
            self.watch = DriftWatch(classifier.reference, len(classifier.labels))

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Observation]:
        """An observation for every frame that is classified, until the source ends or `stop` is called.

        Raises:
            CameraError: the region of interest lies outside the picture.
            ModelError: the runtime failed.
        """
        reconnects = 0
        while not self._stop.is_set():
            frame = self.reader.take(_TICK)
            self._tell_state()
            if frame is None:
                if self.reader.ended:
                    return
                continue
            if self.reader.reconnects != reconnects:  # what was before the gap says nothing about now
                reconnects = self.reader.reconnects
                self._labeller.reset()
                if self.watch:
                    self.watch.pause()
            yield self._observe(frame)

    def _observe(self, frame: Frame) -> Observation:
        taken = time.monotonic()
        answer = self._labeller.label(frame.pixels)
        labelled = time.monotonic()
        observation = Observation(
            frame=frame,
            label=answer.label,
            index=answer.index,
            score=answer.score,
            probabilities=answer.probabilities,
            changed=answer.label != self._label,
            age_ms=1e3 * (labelled - frame.captured),
            latency_ms=1e3 * (labelled - taken),
            drift=self._drift(frame) if self.watch else None,
        )
        self._label = answer.label
        self.figures.add(observation, labelled, (answer.preprocess_ms, answer.invoke_ms, answer.postprocess_ms))
        return observation

    def _drift(self, frame: Frame) -> Drift | None:
        """What the watch says to the frame that was just classified, by the clock of the recording where it has one."""
        watch, classifier, rate = self.watch, self.classifier, self.reader.rate
        now = frame.number / rate if rate and self.reader.waits else frame.captured
        if watch is None or not watch.due(now):
            return None
        pixels = classifier.preprocessor.written(classifier.engine.input)  # runtimes leave their inputs as they are
        picture = picture_statistics(pixels, classifier.preprocess.color)
        score = classifier.head.probabilities(classifier.engine.output()).max()
        return watch.update(now, picture, float(score))

    def stop(self) -> None:
        """End the iteration after the present frame; may be called from a signal handler or another thread."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and give the source back."""
        self.stop()
        self.reader.close()

    def status(self) -> dict[str, Any]:
        """How it goes at the moment; may be called from another thread.

        Returns:
            state, fps (frames a second just now), frames, dropped, reconnects, trouble, p50_ms, age_p50_ms,
            temperature_c, throttled, drift (the present one as JSON, None for none).
        """
        self._look_at_board()
        reader, figures = self.reader, self.figures
        return {
            "state": reader.state,
            "fps": figures.rate(),
            "frames": figures.frames,
            "dropped": reader.dropped,
            "reconnects": reader.reconnects,
            "trouble": reader.trouble,
            "p50_ms": figures.latencies.percentile(50),
            "age_p50_ms": figures.ages.percentile(50),
            "drift": drift.to_dict() if self.watch and (drift := self.watch.current) else None,
        } | self._board

    def summary(self) -> dict[str, Any]:
        """The `camera` JSON record of everything so far."""
        self._board_due = 0.0
        self._look_at_board()
        reader, known = self.reader, self.figures.to_dict()
        counts = {"dropped": reader.dropped, "skipped": reader.skipped, "reconnects": reader.reconnects}
        known["stages"] = {"read_ms": reader.read_times.percentile(50)} | known["stages"]
        return (
            {"schema": "edgecnn.camera/1"}
            | known
            | counts
            | {"threads": self.classifier.threads, "hottest_c": self._hottest}
            | {"drift": self.watch.to_dict() if self.watch else None}
            | self._board
        )

    def _tell_state(self) -> None:
        if (state := self.reader.state) != self._state:
            self._state = state
            self._on_state(state)
        if time.monotonic() > self._board_due:
            self._look_at_board()

    def _look_at_board(self) -> None:
        now = time.monotonic()
        if now < self._board_due:
            return
        self._board_due = now + _BOARD_EVERY
        self._board = {"temperature_c": temperature_c(), "throttled": throttled()}
        heat = self._board["temperature_c"]
        self._hottest = max((value for value in (self._hottest, heat) if value is not None), default=None)
