"""`WebServer`: a web page with the live picture and what is seen on it, for many viewers, beside the inference.

The thread that classifies copies a small picture while someone watches, and else only notes the figures. JPEGs are
made on a second thread, once for all viewers; a third runs the HTTP server.
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from edgecnn.errors import CameraError, MissingExtraError
from edgecnn.web.access import Access, parse_address
from edgecnn.web.broadcast import Broadcast
from edgecnn.web.encoder import Encoder
from edgecnn.web.facts import Facts

if TYPE_CHECKING:
    from aiohttp import web

    from edgecnn.camera.observation import Observation

MAX_VIEWERS: Final = 64
_BOUNDARY: Final = b"--frame\r\n"
_EVENT_S: Final = 0.1
_HEARTBEAT_S: Final = 1.0
_SNAPSHOT_S: Final = 2.0
_DAY_S: Final = 86_400
_COMMON_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "edgecnn",
    "X-Content-Type-Options": "nosniff",
}
_POLICY: Final = (
    "default-src 'none'; img-src 'self' data:; connect-src 'self'; script-src 'nonce-{nonce}'; "
    "style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class WebServer:
    """A sink that serves a page, `/stream` (MJPEG), `/events` (server-sent), `/snapshot.jpg` and `/status.json`.

    Args:
        address: "HOST:PORT", or (host, port); port 0 is any free one.
        labels: class names in output order.
        status: figures of the run by name, among them "state"; called at most twice a second, on the server's thread.
        token: what viewers must give as `?token=` or `Authorization: Bearer`; made where the address can be reached
            from other machines and none is given.
        roi: region of interest (x, y, width, height) in pixels of the frame, drawn on the picture.
        top_k: classes to show.
        title: of the page, beside "edgecnn".
        max_fps: pictures a second at most.
        max_width: of the picture in pixels; wider frames are shrunk.

    Attributes:
        url: what to open in a browser, with the token where one is needed; known after `start`.

    Raises:
        CameraError: the address is none.
    """

    def __init__(
        self,
        address: str | tuple[str, int],
        *,
        labels: Sequence[str],
        status: Callable[[], dict[str, Any]],
        token: str | None = None,
        roi: tuple[int, int, int, int] | None = None,
        top_k: int = 5,
        title: str = "",
        max_fps: float = 15.0,
        max_width: int = 640,
    ) -> None:
        self.url = ""
        self._host, self._port = parse_address(address) if isinstance(address, str) else address
        self._access = Access(self._host, token)
        self._title = title
        self._facts = Facts(labels, status, top_k)
        self._pictures, self._events = Broadcast(MAX_VIEWERS), Broadcast(MAX_VIEWERS)
        self._encoder: Encoder | None = None
        self._encoder_options: dict[str, Any] = {"roi": roi, "max_fps": max_fps, "max_width": max_width}
        self._snapshots: set[asyncio.Future[bytes]] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event

    def start(self) -> None:
        """Listen, and serve on a thread of its own from now on.

        Raises:
            CameraError: the address is taken, or not one of this machine.
            MissingExtraError: aiohttp is not installed.
        """
        try:
            import aiohttp  # noqa: F401
        except ImportError as exc:
            raise MissingExtraError("aiohttp", "serve") from exc
        listening = self._listen()
        self._port = listening.getsockname()[1]
        self.url = self._make_url()
        self._encoder = Encoder(self._encoded, **self._encoder_options)
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening, ready), name="edgecnn-server", daemon=True)
        self._thread.start()
        ready.wait()

    def show(self, observation: Observation) -> None:
        """Take one observation; microseconds, and a shrunk copy of the picture where someone watches."""
        self._facts.note(observation)
        if self._encoder and self.watched:
            self._encoder.take(observation.frame.pixels)

    @property
    def watched(self) -> bool:
        """Whether anyone looks at the pictures."""
        return self._pictures.watched or bool(self._snapshots)

    @property
    def encodes(self) -> int:
        """JPEGs made so far."""
        return self._encoder.encoded if self._encoder else 0

    def close(self) -> None:
        """End all streams and the threads; a second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is None or self._encoder is None:
            return
        try:
            self._encoder.close()
        finally:
            self._loop.call_soon_threadsafe(self._end.set)
            thread.join()

    def _listen(self) -> socket.socket:
        try:
            family, *_, place = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(
                place[:2],
                family=family,
                backlog=MAX_VIEWERS,
                dualstack_ipv6=family == socket.AF_INET6 and socket.has_dualstack_ipv6(),
            )
        except OSError as exc:
            # Python adds the address to the system's words.
            reason = exc.strerror if isinstance(exc, socket.gaierror) else os.strerror(exc.errno or 0)
            raise CameraError(
                f"cannot listen on {self._host} port {self._port}: {reason}; "
                "give an address of this machine and a free port, such as 127.0.0.1:8080"
            ) from exc

    def _make_url(self) -> str:
        host = _reachable() if self._host in ("0.0.0.0", "::") else self._host
        token = f"?token={quote(self._access.token, safe='')}" if self._access.token else ""
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}/{token}"

    def _run(self, listening: socket.socket, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(listening, ready))
        finally:
            ready.set()

    async def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        from aiohttp import web

        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(
            self._application(),
            access_log=None,  # it would hold the token
            handler_cancellation=True,  # tells a stream that its viewer left
            shutdown_timeout=0.2,
        )
        await runner.setup()
        await web.SockSite(runner, listening).start()
        ready.set()
        ticking = asyncio.create_task(self._tick())
        await self._end.wait()
        ticking.cancel()
        for waiting in self._snapshots:
            waiting.cancel()
        self._pictures.close()
        self._events.close()
        await runner.cleanup()

    def _application(self) -> web.Application:
        from aiohttp import web

        page = Path(__file__).with_name("page.html").read_text("utf-8")
        cookie = f"edgecnn_{self._port}"  # cookies are shared by all ports of a host

        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            refused = self._access.refusal(request.headers, request.query, request.cookies.get(cookie, ""))
            if refused:
                return web.Response(status=refused[0], text=refused[1] + "\n")
            return await handler(request)  # type: ignore[no-any-return]  # aiohttp types handlers as Any here

        async def show_page(_: web.Request) -> web.Response:
            nonce = secrets.token_urlsafe(16)
            response = web.Response(text=self._page(page, nonce), content_type="text/html")
            response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
            if self._access.token:
                response.set_cookie(
                    cookie, self._access.cookie, max_age=30 * _DAY_S, httponly=True, samesite="Strict", path="/"
                )
            return response

        async def stream(request: web.Request) -> web.StreamResponse:
            kind = "multipart/x-mixed-replace; boundary=frame"
            return await self._watch(request, self._pictures, kind, lambda: _BOUNDARY)

        async def events(request: web.Request) -> web.StreamResponse:
            return await self._watch(request, self._events, "text/event-stream", self._event)

        async def snapshot(_: web.Request) -> web.Response:
            jpeg = await self._next_picture()
            if jpeg is None:
                return web.Response(status=503, text=f"no picture came within {_SNAPSHOT_S:.0f} s; try again\n")
            return web.Response(body=jpeg, content_type="image/jpeg")

        async def status(_: web.Request) -> web.Response:
            return web.json_response(self._facts.record())

        async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
            response.headers.update(_COMMON_HEADERS)

        application = web.Application(middlewares=[guard])
        application.on_response_prepare.append(add_headers)
        application.add_routes(
            [
                web.get("/", show_page),
                web.get("/stream", stream, allow_head=False),
                web.get("/events", events, allow_head=False),
                web.get("/snapshot.jpg", snapshot, allow_head=False),
                web.get("/status.json", status),
            ]
        )
        return application

    async def _watch(
        self, request: web.Request, broadcast: Broadcast, kind: str, greeting: Callable[[], bytes]
    ) -> web.StreamResponse:
        from aiohttp import web

        if broadcast.full or request.transport is None:
            return web.Response(status=503, text=f"{MAX_VIEWERS} viewers watch already; try again later\n")
        response = web.StreamResponse(headers={"Content-Type": kind, "X-Accel-Buffering": "no"})
        response.force_close()
        await response.prepare(request)
        await response.write(greeting())
        await broadcast.watch(response, request.transport)
        return response

    def _page(self, page: str, nonce: str) -> str:
        """The page with its places filled: a name in double braces each."""
        seen = self._facts.seen
        places = {
            "nonce": nonce,
            "title": html.escape(self._title),
            "rows": str(self._facts.top_k),
            "width": str(seen.width if seen else 16),
            "height": str(seen.height if seen else 9),
        }
        return re.sub(r"{{(\w+)}}", lambda place: places[place[1]], page)

    def _encoded(self, jpeg: bytes) -> None:
        """Hand a JPEG from the encoder's thread to the server's."""
        header = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
        # A browser shows a part when it has seen the boundary behind it, which therefore does not wait for the next.
        asyncio.run_coroutine_threadsafe(self._publish(jpeg, header + jpeg + b"\r\n" + _BOUNDARY), self._loop)

    async def _publish(self, jpeg: bytes, part: bytes) -> None:
        for waiting in self._snapshots:
            if not waiting.done():
                waiting.set_result(jpeg)
        await self._pictures.publish(part)

    async def _next_picture(self) -> bytes | None:
        waiting: asyncio.Future[bytes] = self._loop.create_future()
        self._snapshots.add(waiting)
        try:
            return await asyncio.wait_for(waiting, _SNAPSHOT_S)
        except asyncio.TimeoutError:  # the built-in one only since Python 3.11
            return None
        finally:
            self._snapshots.discard(waiting)

    async def _tick(self) -> None:
        """Tell what is new, a sign of life where nothing is, and see after viewers who were behind."""
        told, sent = None, 0.0
        while True:
            await asyncio.sleep(_EVENT_S)
            now = time.monotonic()
            if self._events.watched and (self._facts.seen is not told or now - sent >= _HEARTBEAT_S):
                told, sent = self._facts.seen, now
                await self._events.publish(self._event())
            else:
                await self._events.deliver()
            await self._pictures.deliver()

    def _event(self) -> bytes:
        return b"data: %b\n\n" % json.dumps(self._facts.record()).encode()


def _reachable() -> str:
    """This machine's address in its network, else its name. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
