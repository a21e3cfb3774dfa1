"""`edgecnn camera`: labels for live pictures."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.live import LiveLine
from edgecnn.cli.options import foreign_options, json_option, label_names, model_argument, model_content, read_spec
from edgecnn.cli.output import emit_json, note, paragraph

if TYPE_CHECKING:
    from edgecnn.camera.camera import Camera
    from edgecnn.camera.observation import Sink


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with a separator, such as 640x480 or 0,0,320,240; the last two are width and height."""

    def __init__(self, separator: str, form: str) -> None:
        self.separator, self.name, self._count = separator, form, form.count(separator) + 1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Parse and check."""
        parts = [part.strip() for part in str(value).split(self.separator)]
        if len(parts) != self._count or not all(part.isdecimal() for part in parts):
            self.fail(f"expected {self.name} in whole numbers, got {value!r}", param, ctx)
        numbers = tuple(int(part) for part in parts)
        if 0 in numbers[-2:]:
            self.fail(f"expected a width and height from 1, got {value!r}", param, ctx)
        return numbers


class ThreadCount(click.ParamType[int]):
    """A number of threads, or auto, which is 0."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse and check."""
        if value in ("auto", 0):
            return 0
        if not str(value).isdecimal() or not 1 <= int(value) <= 64:
            self.fail(f"expected a number from 1 to 64 or auto, got {value!r}", param, ctx)
        return int(value)


_PATH = click.Path(path_type=Path)


@click.command("camera")
@model_argument()
@click.option(
    "--source",
    required=True,
    metavar="SOURCE",
    help="Number of a USB camera, picamera (CSI), video file, folder of images, or RTSP / HTTP address.",
)
@click.option("--size", type=Numbers("x", "WIDTHxHEIGHT"), help="Picture size to ask a camera for.")
@click.option("--every-frame", is_flag=True, help="Classify every frame of a file, as fast as possible.")
@click.option("--max-frames", type=click.IntRange(1), metavar="N", help="End after so many classified frames.")
@click.option("--roi", type=Numbers(",", "X,Y,W,H"), help="Part of the picture to classify, in pixels.")
@click.option("--smooth", type=click.IntRange(1), default=5, show_default=True, help="Frames to average over.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    metavar="F",
    help='Below it the label is "unknown".  [default: the model\'s own, else 0.5]',
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="How much better another class must be to take over.",
)
@click.option(
    "--drift/--no-drift",
    default=True,
    show_default=True,
    help="Tell when pictures or scores leave the range they had at conversion.",
)
@click.option("--threads", type=ThreadCount(), default="auto", show_default=True, help="Threads of the interpreter.")
@click.option("--headless", is_flag=True, help="No window, even where there is a display.")
@click.option(
    "--serve", metavar="HOST:PORT", help="Web page with the live picture; other hosts than loopback need a token."
)
@click.option("--token", envvar="EDGECNN_TOKEN", help="Token of the web page; made up where one is needed.")
@click.option("--events", type=_PATH, metavar="FILE", help="Append JSON lines: on a new label and now and then.")
@click.option(
    "--event-every",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between events while the label stays; 0: every frame.",
)
@click.option("--record", type=_PATH, metavar="FILE", help="Annotated video, .avi or .mp4.")
@click.option("--save-uncertain", type=_PATH, metavar="DIR", help='Keep pictures whose label is "unknown".')
@click.option(
    "--uncertain-budget",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="MB",
    help="Most that they may take.",
)
@foreign_options
@json_option
def command(
    model: Path,
    source: str,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    threads: int,
    size: tuple[int, int] | None,
    every_frame: bool,
    max_frames: int | None,
    roi: tuple[int, int, int, int] | None,
    smooth: int,
    threshold: float | None,
    margin: float,
    drift: bool,
    as_json: bool,
    **outputs: Any,
) -> None:
    """Classify live pictures of a camera, a stream or a file. Ctrl-C ends it.

    Always the newest frame is classified; those that come while inference runs are dropped and counted. The label is
    averaged over frames and changes only when another is clearly better. When the picture becomes dark, bright, flat or
    blurred, or scores fall, unlike at conversion and unlike this scene was, that is told as a drift.

    \b
    Examples:
      edgecnn camera model.tflite --source 0
      edgecnn camera model.tflite --source picamera --serve 0.0.0.0:8080
      edgecnn camera model.tflite --source clip.mp4 --every-frame --events e.jsonl
    """
    from edgecnn.camera.camera import Camera
    from edgecnn.camera.capture import without_password
    from edgecnn.camera.threads import choose_threads
    from edgecnn.errors import SourceError
    from edgecnn.runtime.classifier import Classifier

    spec = read_spec(preprocess)
    content = model_content(model, spec, allow_unsafe=allow_unsafe)
    shown = without_password(source)
    names = label_names(labels)
    classifier = Classifier(content, labels=names, preprocess=spec, threads=threads or 1, name=str(model))
    if not threads:
        classifier = classifier.clone(threads=choose_threads(classifier))
    if drift and classifier.reference is None:
        note(f"Note: no drift watch: {model.name} does not say what pictures were like at conversion; convert it again")
    with ExitStack() as stack:
        camera = stack.enter_context(
            Camera(
                classifier,
                source,
                size=size,
                every_frame=every_frame,
                roi=roi,
                smooth=smooth,
                threshold=threshold,
                margin=margin,
                drift=drift,
                on_state=lambda state: line.state(state),
            )
        )
        line = LiveLine(camera.status, quiet=as_json)
        sinks: list[Sink] = []
        for sink in chain([line], _sinks(camera, f"{model.name}, {Path(shown).name}", outputs)):
            stack.callback(sink.close)  # before the next is opened, which may fail
            sinks.append(sink)
        with _ended_by_signals(camera.stop):
            for seen in islice(camera, max_frames):
                for sink in sinks:
                    sink.show(seen)
                if any(getattr(sink, "closed", False) for sink in sinks):
                    break
        ended = camera.reader.ended  # by itself, not by the signal that ends a stream without pictures
    summary = camera.summary() | {"source": shown, "model": str(model)}
    if not summary["frames"] and ended:
        raise SourceError(f"{shown} holds no picture that can be decoded")
    for sink in sinks:
        summary |= {key: getattr(sink, key) for key in ("saved", "full", "left_out") if hasattr(sink, key)}
    if as_json:
        emit_json(summary)
    else:
        _show(summary)


def _sinks(camera: "Camera", title: str, outputs: dict[str, Any]) -> Iterator["Sink"]:
    """Everything that was asked for beside the terminal."""
    from edgecnn.errors import CameraError
    from edgecnn.sinks.events import EventLog
    from edgecnn.sinks.recording import Recording
    from edgecnn.sinks.uncertain import UncertainPictures
    from edgecnn.sinks.window import Window, has_display

    labels = camera.classifier.labels
    if outputs["events"]:
        yield EventLog(outputs["events"], every=outputs["event_every"])
    if outputs["save_uncertain"]:
        budget = outputs["uncertain_budget"] * 1_000_000
        yield UncertainPictures(outputs["save_uncertain"], labels=labels, budget=budget)
    if outputs["record"]:
        rate = camera.reader.rate or 15.0
        yield Recording(outputs["record"], rate=rate, wait=camera.reader.waits, roi=camera.roi)
    if outputs["serve"]:
        from edgecnn.web.server import WebServer

        server = WebServer(
            outputs["serve"],
            labels=labels,
            status=camera.status,
            token=outputs["token"],
            roi=camera.roi,
            title=title,
        )
        server.start()
        note(f"Open {server.url}")
        yield server
    if not outputs["headless"] and has_display():
        try:
            yield Window(roi=camera.roi)
        except CameraError as exc:
            note(f"Note: {exc}")


@contextmanager
def _ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and a service manager's SIGTERM end the loop cleanly; a second one ends the program as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:
        stop()
        signal.signal(number, before[signal.Signals(number)])

    for name in before:
        signal.signal(name, ask)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _show(summary: dict[str, Any]) -> None:
    rate = "" if summary["fps"] is None else f", {summary['fps']:.1f} a second"
    lost = [f"{summary[key]:,} {key}" for key in ("dropped", "skipped", "reconnects") if summary[key]]
    click.echo(", ".join([_counted(summary["frames"], "frame") + rate, *lost]))
    if not summary["frames"]:
        return
    stages = summary["stages"]
    paragraph(
        f"frame to label {summary['p50_ms']:.2f} ms (90 %: {summary['p90_ms']:.2f}): preprocessing "
        f"{stages['preprocess_ms']:.2f}, inference {stages['invoke_ms']:.2f}, labelling {stages['postprocess_ms']:.2f}"
    )
    paragraph(f"age of a frame at its label {summary['age_p50_ms']:.1f} ms (90 %: {summary['age_p90_ms']:.1f})")
    if (drift := summary["drift"]) and drift["begun"]:
        lasted = ", ".join(f"{reason} for {seconds:.1f} s" for reason, seconds in drift["seconds"].items())
        paragraph(f"drift {_counted(drift['begun'], 'time')}: {lasted}")
    if summary["temperature_c"] is not None:
        slowed = ", ".join(summary["throttled"] or []) or "not slowed down"
        paragraph(f"temperature {summary['temperature_c']:.0f} °C, at most {summary['hottest_c']:.0f} °C; {slowed}")
    if "saved" in summary:
        full = "; the budget is used up" if summary["full"] else ""
        click.echo(_counted(summary["saved"], "uncertain picture") + " saved" + full)
    if summary.get("left_out"):
        click.echo(_counted(summary["left_out"], "picture") + " left out of the recording: the encoder is too slow")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
