"""Who may look at the camera: the address the server listens on, and the token that other addresses need."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from edgecnn.errors import CameraError

_LOOPBACK: Final = "127.0.0.1"
_ADDRESS = re.compile(r"(?:(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]*)):)?(\d{1,5})", re.ASCII)


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, [IPv6]:PORT, :PORT or PORT as (host, port); without a host it is this machine alone, 127.0.0.1.

    Port 0 is any free one.

    Raises:
        CameraError: the text is none of these.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[3]) > 65_535:
        raise CameraError(f"expected HOST:PORT such as 127.0.0.1:8080, 0.0.0.0:8080, [::1]:8080 or 8080, got {text!r}")
    return match[1] or match[2] or _LOOPBACK, int(match[3])


def is_loopback(host: str) -> bool:
    """Whether a host name or IP address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


class Access:
    """The rule by which a request is let in.

    On a loopback address without a token, the Host header must name this machine too: a web site whose name is made
    to point to 127.0.0.1 (DNS rebinding) then reads nothing. With a token only the token counts.

    Args:
        host: the address that is listened on.
        token: what a request must carry; made here where `host` is not loopback and none is given.

    Attributes:
        token: None where none is needed.
        cookie: what the page's cookie holds, from which the token cannot be told; "" without a token.
    """

    def __init__(self, host: str, token: str | None) -> None:
        self.token = token or (None if is_loopback(host) else secrets.token_urlsafe(24))
        self.cookie = hashlib.sha256(self.token.encode()).hexdigest() if self.token else ""

    def refusal(self, headers: Mapping[str, str], query: Mapping[str, str], cookie: str) -> tuple[int, str] | None:
        """Why a request is turned away, as (HTTP status, one line); None where it is let in."""
        if self.token is None:
            if _names_loopback(headers.get("Host", "")):
                return None
            return 403, "open this page as http://127.0.0.1 or http://localhost with its port: other names need a token"
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        given = query.get("token", "") or (bearer.strip() if scheme.lower() == "bearer" else "")
        # Both are compared always, so that the time tells nothing.
        right = _same(given, self.token) | _same(cookie, self.cookie)
        return None if right else (401, "a token is needed: open the whole address that edgecnn printed, ?token= too")


def _names_loopback(host: str) -> bool:
    try:
        return is_loopback(urlsplit("//" + host).hostname or "")
    except ValueError:
        return False


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "backslashreplace"), wanted.encode())
