"""Labels what a camera sees, for as long as it runs: `python app.py config.toml`.

This file is yours to change; config.toml explains the settings, README.md the rest.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

import edgecnn

# Every setting with its default, which also tells its type; 0, "" and [] turn a thing off.
DEFAULTS: dict[str, Any] = {
    "model": "/opt/edgecnn/model.tflite", "threads": 0, "smooth": 5, "threshold": 0.0, "margin": 0.1,
    "source": "picamera", "size": [1280, 720], "roi": [],
    "serve": "127.0.0.1:8080", "token_file": "",
    "events": "events.jsonl", "event_every_s": 60.0, "uncertain": "", "uncertain_mb": 100,
    "cooldown_s": 60.0, "actions": {},
}  # fmt: skip
KINDS = {str: "text in quotes", int: "a whole number from 0 up", float: "a number from 0 up", dict: "a table [actions]"}
LENGTHS = {"size": 2, "roi": 4}
PATIENCE_S = 120.0  # a lost camera is looked for so long; then systemd starts us afresh, which some drivers need


def on_label_change(seen: edgecnn.Observation) -> None:
    """YOUR OWN CODE goes here. Called when the label changes; return fast, since the next frame waits."""


def read_config(path: str) -> dict[str, Any]:
    """The settings of a file over the defaults; one line and exit code 1 where one is wrong."""
    import tomllib  # comes with Python since 3.11

    try:
        with open(path, "rb") as file:
            config: dict[str, Any] = DEFAULTS | tomllib.load(file)
    except (OSError, ValueError) as exc:
        sys.exit(f"{path}: {exc}")
    for key, value in config.items():
        if key not in DEFAULTS:
            sys.exit(f"{path}: unknown setting {key!r}; there are {', '.join(DEFAULTS)}")
        kind = type(DEFAULTS[key])
        if kind is list:
            right = type(value) is list and len(value) in (0, LENGTHS[key]) and all(type(part) is int for part in value)
        else:
            right = type(value) is kind or (kind is float and type(value) is int)
        if not right or (kind in (int, float) and not value >= 0):
            expected = KINDS.get(kind, f"[] or {LENGTHS.get(key)} whole numbers")
            sys.exit(f"{path}: {key}: expected {expected}, got {value!r}")
    return config


class Actions:
    """Starts a label's command when it begins: without a shell, one at a time, with a pause between two starts."""

    def __init__(self, commands: dict[str, Any], labels: tuple[str, ...], pause_s: float) -> None:
        self.words: dict[str, list[str]] = {}
        self.pause_s, self.due = pause_s, dict.fromkeys(commands, 0.0)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for label, text in commands.items():
            if label not in (*labels, "unknown"):
                sys.exit(f"actions: expected one of the labels {', '.join(labels)} or unknown, got {label!r}")
            try:
                self.words[label] = shlex.split(text)
                found = shutil.which(self.words[label][0])
            except (ValueError, AttributeError, IndexError):  # an open quote; no text; no word
                found = None
            if not found:
                sys.exit(f"actions: {label}: expected a command in quotes that exists here, got {text!r}")

    def show(self, seen: edgecnn.Observation) -> None:
        """Start the command of a label that just began."""
        if not seen.changed or seen.label not in self.words or time.monotonic() < self.due[seen.label]:
            return
        if seen.label in self.running and self.running[seen.label].poll() is None:
            return
        self.due[seen.label] = time.monotonic() + self.pause_s
        facts = {"EDGECNN_LABEL": seen.label, "EDGECNN_SCORE": f"{seen.score:.3f}"}
        try:
            self.running[seen.label] = subprocess.Popen(
                self.words[seen.label], stdin=subprocess.DEVNULL, env=os.environ | facts
            )
        except OSError as exc:
            print(f"actions: {seen.label}: {exc}", file=sys.stderr, flush=True)


def notify(message: str) -> None:
    """Tell systemd how it goes; nothing where it did not start us."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.send(message.encode())


def feed_watchdog(camera: edgecnn.Camera) -> None:
    """Sign of life while frames get labels or a lost camera is looked for; when one hangs, systemd restarts us."""
    frames, since = -1, 0.0
    while True:
        status, now = camera.status(), time.monotonic()
        if status["frames"] != frames:
            frames, since = status["frames"], now
        if since == now or (status["state"] == "reconnecting" and now - since < PATIENCE_S):
            notify("WATCHDOG=1")
        time.sleep(float(os.environ.get("WATCHDOG_USEC", 30e6)) / 3e6)


def serve(config: dict[str, Any], camera: edgecnn.Camera) -> edgecnn.WebServer:
    """The web page. A token from a file is not printed, since logs have more readers."""
    token = None
    if config["token_file"]:
        with open(config["token_file"], encoding="utf-8") as file:
            token = file.read().strip() or sys.exit(f"{config['token_file']}: expected a token, got an empty file")
    labels = camera.classifier.labels
    server = edgecnn.WebServer(
        config["serve"], labels=labels, status=camera.status, token=token, roi=camera.roi, title=socket.gethostname()
    )
    server.start()
    print(f"page: {server.url.partition('?')[0] if token else server.url}", flush=True)
    return server


def main(path: str) -> None:
    """Run until the source ends, or SIGTERM or Ctrl-C comes."""
    config = read_config(path)
    classifier = edgecnn.Classifier(config["model"], threads=config["threads"] or 1)
    if not config["threads"]:
        classifier = classifier.clone(threads=edgecnn.choose_threads(classifier))
    sinks: list[Any] = [Actions(config["actions"], classifier.labels, config["cooldown_s"])]

    def tell(state: str) -> None:
        print(f"camera: {state} {camera.status()['trouble']}".rstrip(), file=sys.stderr, flush=True)

    with ExitStack() as stack:
        options = {key: config[key] for key in ("smooth", "margin")}
        options |= {key: tuple(config[key]) or None for key in LENGTHS} | {"threshold": config["threshold"] or None}
        camera = stack.enter_context(edgecnn.Camera(classifier, config["source"], on_state=tell, **options))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: camera.stop())
        if config["events"]:
            sinks.append(edgecnn.EventLog(config["events"], every=config["event_every_s"]))
            stack.callback(sinks[-1].close)
        if config["uncertain"]:
            budget = config["uncertain_mb"] * 1_000_000
            sinks.append(edgecnn.UncertainPictures(config["uncertain"], labels=classifier.labels, budget=budget))
            stack.callback(sinks[-1].close)
        if config["serve"]:
            sinks.append(serve(config, camera))
            stack.callback(sinks[-1].close)
        notify("READY=1")
        threading.Thread(target=feed_watchdog, args=(camera,), daemon=True).start()
        for seen in camera:
            if seen.changed:
                print(f"{seen.label} {seen.score:.0%}", flush=True)
                on_label_change(seen)
            if seen.drift:
                print(f"drift: {seen.drift.words}", file=sys.stderr, flush=True)
            for sink in sinks:
                sink.show(seen)
        notify("STOPPING=1")
    done = camera.summary()
    print(f"{done['frames']} frames, {done['dropped']} dropped, {done['reconnects']} reconnects", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python app.py config.toml")
    try:
        main(sys.argv[1])
    except (edgecnn.EdgecnnError, OSError) as exc:
        sys.exit(f"{sys.argv[1]}: {exc}")
