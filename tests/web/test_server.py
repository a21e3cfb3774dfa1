import os
import re
import sys
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPException, HTTPResponse
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import CameraError, MissingExtraError
from edgecnn.web import server as server_module
from edgecnn.web.server import WebServer
from tests.web.viewing import (
    LABELS,
    Producer,
    decode,
    get,
    make_server,
    observe,
    open_stream,
    open_stuck,
    port_of,
    read_event,
    read_part,
)


def running(**options: Any) -> Producer:
    """A server that is shown moving pictures."""
    server = make_server(**options)
    server.start()
    return Producer(server)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited 20 s in vain"
        time.sleep(0.01)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if os.path.isdir("/proc/self/fd") else 0


def test_the_page_is_whole_and_locked_down() -> None:
    with running(title="<model> & co") as producer:
        response = get(producer.server)
        page = response.read().decode()
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers
    policy = response.headers["Content-Security-Policy"]
    [nonce] = set(re.findall(r"'nonce-([\w-]+)'", policy))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert page.count(f'nonce="{nonce}"') == 2 == len(re.findall("<(?:script|style)", page))
    assert "&lt;model&gt; &amp; co" in page
    assert "{{" not in page
    assert not re.search(r"(src|href)=.https?:|url\(|@import", page), "the page needs nothing from elsewhere"


def test_the_nonce_is_new_for_every_answer() -> None:
    with running() as producer:
        policies = {get(producer.server).headers["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


def test_the_stream_shows_pictures_that_move() -> None:
    with running() as producer, closing(open_stream(producer.server)) as stream:
        assert stream.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        assert stream.headers["Cache-Control"] == "no-store"
        pictures = [decode(read_part(stream)) for _ in range(4)]
    assert {picture.shape for picture in pictures} == {(180, 320, 3)}
    for one, other in pairwise(pictures):
        assert np.abs(one.astype(int) - other).max() > 50
        assert one[80].max() > 150, "the picture was taken after its memory was used again"


def test_events_tell_what_is_seen_and_how_it_runs() -> None:
    before = time.time()
    with running(top_k=2) as producer, closing(get(producer.server, "/events")) as events:
        assert events.headers["Content-Type"].startswith("text/event-stream")
        records = [read_event(events) for _ in range(8)]
    record = records[-1]
    assert record.keys() >= {"frame", "captured_at", "label", "index", "score", "age_ms", "latency_ms", "top"}
    assert (record["state"], record["fps"], record["age_ms"]) == ("running", 50.0, 5.0)
    assert (record["width"], record["height"]) == (320, 180)
    assert before <= record["captured_at"] <= time.time()
    assert 0 <= record["since_capture_ms"] < 1000
    assert record["index"] == LABELS.index(record["label"])
    assert record["score"] == 0.8
    assert record["top"][0] == {"label": record["label"], "index": record["index"], "score": 0.8}
    assert [item["score"] for item in record["top"]] == [0.8, 0.1]
    frames = [record["frame"] for record in records if record["frame"] is not None]
    assert frames == sorted(set(frames))
    assert len({record["label"] for record in records}) > 1


def test_an_unknown_label_has_no_index() -> None:
    server = make_server()
    server.start()
    with closing(server):
        server.show(observe(0)._replace(label="unknown", index=None, score=0.4))
        record = read_event(get(server, "/events"))
    assert (record["label"], record["index"], record["score"]) == ("unknown", None, 0.4)
    assert len(record["top"]) == 3


def test_events_come_at_most_ten_times_a_second_and_without_frames_every_second() -> None:
    calls: list[float] = []

    def status() -> dict[str, Any]:
        calls.append(time.monotonic())
        return {"state": "reconnecting"}

    with running(status=status) as producer, closing(get(producer.server, "/events")) as events:
        started = time.monotonic()
        for _ in range(11):
            read_event(events)
        assert time.monotonic() - started > 0.8
        producer.paused = True
        wait_until(lambda: read_event(events)["since_capture_ms"] > 900)
        assert read_event(events)["state"] == "reconnecting"
    assert min(later - earlier for earlier, later in pairwise(calls)) > 0.49


def test_before_the_first_frame_there_is_a_state_and_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SNAPSHOT_S", 0.05)
    server = make_server()
    server.start()
    with closing(server):
        record = read_event(get(server, "/events"))
        assert (record["frame"], record["label"], record["top"]) == (None, None, [])
        assert record["state"] == "running"
        response = get(server, "/snapshot.jpg")
        assert (response.status, response.read().startswith(b"no picture came")) == (503, True)


def test_a_snapshot_is_new_and_costs_one_encode() -> None:
    with running() as producer:
        wait_until(lambda: producer.shown > 3)
        assert producer.server.encodes == 0
        response = get(producer.server, "/snapshot.jpg")
        assert (response.status, response.headers["Content-Type"]) == (200, "image/jpeg")
        assert response.headers["Cache-Control"] == "no-store"
        assert decode(response.read()).shape == (180, 320, 3)
        assert producer.server.encodes == 1


def test_status_json() -> None:
    with running() as producer:
        wait_until(lambda: producer.shown > 3)
        response = get(producer.server, "/status.json")
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert b'"state": "running"' in response.read()


def test_many_viewers_share_one_encode_and_one_that_never_reads_stops_nobody() -> None:
    with running(max_fps=30.0) as producer:
        stuck = open_stuck(producer.server)
        viewers = [open_stream(producer.server) for _ in range(8)]
        before = producer.server.encodes
        last: dict[int, list[bytes]] = {number: [] for number in range(len(viewers))}
        started = time.monotonic()
        while time.monotonic() - started < 1.0:
            for number, viewer in enumerate(viewers):
                last[number].append(read_part(viewer))
        made = producer.server.encodes - before
        assert 10 < made < 45
        assert all(len(pictures) > 10 for pictures in last.values())
        assert len({picture for pictures in last.values() for picture in pictures}) <= made + 3
        stuck.close()
        for viewer in viewers:
            viewer.close()
        wait_until(lambda: not producer.server.watched)
        idle = producer.server.encodes
        wait_until(lambda: producer.shown % 10 == 0)
        assert producer.server.encodes <= idle + 1
    assert producer.longest_s < 0.2


def test_a_viewer_that_stops_reading_for_a_while_then_sees_few_old_pictures() -> None:
    server = make_server(max_fps=100.0)
    server.start()
    noise = np.random.default_rng(7).integers(0, 256, (360, 640, 3), np.uint8)  # a JPEG of 0.2 MB
    with closing(server), closing(open_stuck(server)) as viewer:
        wait_until(lambda: server.watched)
        for number in range(1, 31):
            observation = observe(number)
            noise[:] = noise // 2 + 4 * number  # a brightness for every picture
            server.show(observation._replace(frame=observation.frame._replace(pixels=noise)))
            wait_until(lambda number=number: server.encodes == number)
        time.sleep(0.05)
        [held] = server._pictures._viewers
        assert 0 < held.transport.get_write_buffer_size() < 400_000
        received = 0
        viewer.settimeout(0.5)
        with suppress(TimeoutError):
            while content := viewer.recv(1 << 20):
                received += len(content)
        assert received < 1_000_000, "of 30 pictures it sees those that were on their way, and the newest"


def test_without_a_token_only_names_of_this_machine_are_answered() -> None:
    with running() as producer:
        response = get(producer.server, "/status.json", Host="rebound.example.com")
        assert (response.status, b"token" in response.read()) == (403, True)
        assert get(producer.server, "/status.json", Host="localhost:1234").status == 200


def test_the_token_opens_the_page_and_its_cookie_the_rest() -> None:
    with running(address=("127.0.0.1", 0), token="s3cret/&") as producer:
        server = producer.server
        assert server.url.endswith("/?token=s3cret%2F%26")
        for path in ("/", "/stream", "/events", "/snapshot.jpg", "/status.json", "/nowhere", "/?token=wrong"):
            response = get(server, path)
            text = response.read().decode()
            assert (response.status, text.count("\n"), "s3cret" in text) == (401, 1, False), path
            assert response.headers["Cache-Control"] == "no-store"
        assert get(server, "/status.json", Authorization="Bearer s3cret/&").status == 200
        page = get(server, server.url[server.url.index("/?") :])
        assert page.status == 200
        assert "s3cret" not in page.read().decode()
        cookie, *flags = page.headers["Set-Cookie"].split("; ")
        assert {flag.lower() for flag in flags} >= {"httponly", "samesite=strict", "path=/"}
        assert get(server, "/status.json", Cookie=cookie).status == 200
        assert get(server, "/status.json", Cookie=cookie + "0").status == 401


def test_other_addresses_need_a_token() -> None:
    with running(address="0.0.0.0:0") as producer:
        token = producer.server.url.partition("/?token=")[2]
        assert len(token) >= 32
        assert "0.0.0.0" not in producer.server.url
        assert get(producer.server, "/status.json").status == 401
        assert get(producer.server, f"/status.json?token={token}").status == 200


def test_the_token_is_not_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(0)
    with running(token="s3cret") as producer:
        get(producer.server, "/?token=s3cret").read()
        get(producer.server, "/nowhere?token=s3cret").read()
    assert "s3cret" not in caplog.text + "".join(capfd.readouterr())


def test_beyond_the_limit_viewers_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_VIEWERS", 2)
    with running() as producer:
        viewers = [open_stream(producer.server) for _ in range(2)]
        response = get(producer.server, "/stream")
        assert (response.status, response.read()) == (503, b"2 viewers watch already; try again later\n")
        viewers[0].close()
        wait_until(lambda: get(producer.server, "/stream").status == 200)
        viewers[1].close()


@pytest.mark.parametrize("path", ["/stream", "/events"])
def test_only_get_is_answered(path: str) -> None:
    import http.client

    with running() as producer:
        for method in ("HEAD", "POST"):
            connection = http.client.HTTPConnection("127.0.0.1", port_of(producer.server), timeout=5)
            connection.request(method, path)
            assert connection.getresponse().status == 405
            connection.close()


def test_close_ends_streams_threads_and_descriptors() -> None:
    with running():  # what is loaded and opened once
        pass
    threads, files = set(threading.enumerate()), descriptors()
    producer = running()
    server = producer.server
    with producer:
        viewers: list[HTTPResponse] = [open_stream(server) for _ in range(3)]
        viewers += [get(server, "/events") for _ in range(3)]
        stuck = open_stuck(server)
        wait_until(lambda: server.encodes > 3)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 1
        assert all(ended(viewer) for viewer in viewers)
        server.close()
        server.show(observe(0))
    stuck.close()
    for viewer in viewers:
        viewer.close()
    assert set(threading.enumerate()) == threads
    assert descriptors() == files


def ended(viewer: HTTPResponse) -> bool:
    """Whether a stream comes to its end; it may be cut."""
    with suppress(HTTPException, ConnectionError):
        viewer.read()
    return True


def test_close_without_start() -> None:
    make_server().close()


def test_a_taken_address_is_said() -> None:
    with running() as producer:
        port = port_of(producer.server)
        with pytest.raises(CameraError, match=rf"^cannot listen on 127\.0\.0\.1 port {port}: Address already in use; "):
            make_server(address=f"127.0.0.1:{port}").start()


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid"])
def test_an_address_that_is_not_here_is_said(host: str) -> None:
    with pytest.raises(CameraError, match=f"^cannot listen on {host} port 0: .*; give an address of this machine"):
        make_server(address=f"{host}:0").start()


def test_without_aiohttp_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgecnn\[serve\]'"):
        make_server().start()


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(CameraError, match="expected HOST:PORT"):
        WebServer("nowhere", labels=LABELS, status=dict)
