from collections.abc import Mapping

import pytest

from edgecnn.errors import CameraError
from edgecnn.web.access import Access, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.168.1.5:8080", ("192.168.1.5", 8080)),
        ("raspberrypi.local:80", ("raspberrypi.local", 80)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:8080", ("::1", 8080)),
        ("[::]:65535", ("::", 65535)),
        (":8080", ("127.0.0.1", 8080)),
        ("8080", ("127.0.0.1", 8080)),
        (" localhost:1 ", ("localhost", 1)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "localhost", "192.168.1.5", "::1", "::1:8080", "a:65536", "a:b", "a:-1", "http://a:1", "a:1/", "a b:1"]
)
def test_what_is_no_address_is_said_in_one_line(text: str) -> None:
    with pytest.raises(CameraError, match=r"^expected HOST:PORT such as .*, got ") as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost", "LOCALHOST."])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "localhost.example.com", "127.0.0.1.nip.io", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("127.0.0.1:8080", None),
        ("localhost", None),
        ("[::1]:8080", None),
        ("localhost:9000", None),  # through a tunnel the port is another
        ("evil.example.com:8080", 403),
        ("127.0.0.1.evil.example.com", 403),
        ("user@evil.example.com", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_without_a_token_the_host_header_names_this_machine(name: str, status: int | None) -> None:
    refused = Access("127.0.0.1", None).refusal({"Host": name}, {}, "")
    assert (refused and refused[0]) == status


def test_other_addresses_get_a_token_each_time_anew() -> None:
    tokens = {Access("0.0.0.0", None).token for _ in range(5)}
    assert len(tokens) == 5
    assert all(token is not None and len(token) >= 32 for token in tokens)
    assert Access("0.0.0.0", "mine").token == "mine"
    assert Access("0.0.0.0", "").token != ""


@pytest.mark.parametrize(
    ("headers", "query", "right"),
    [
        ({}, {"token": "s3cret"}, True),
        ({"Authorization": "Bearer s3cret"}, {}, True),
        ({"Authorization": "bearer  s3cret "}, {}, True),
        ({}, {}, False),
        ({}, {"token": "s3cre"}, False),
        ({}, {"token": "s3crét\udcff"}, False),
        ({"Authorization": "Basic s3cret"}, {}, False),
        ({"Authorization": "s3cret"}, {}, False),
        ({"Host": "localhost"}, {}, False),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_with_a_token_only_the_token_counts(
    host: str, headers: Mapping[str, str], query: Mapping[str, str], right: bool
) -> None:
    refused = Access(host, "s3cret").refusal({"Host": "any.example.com", **headers}, query, "")
    assert (refused is None) == right
    assert right or (refused and refused[0] == 401 and "?token=" in refused[1])


def test_the_cookie_lets_in_and_does_not_tell_the_token() -> None:
    access = Access("0.0.0.0", "s3cret")
    assert "s3cret" not in access.cookie
    assert access.refusal({}, {}, access.cookie) is None
    assert access.refusal({}, {}, access.cookie[:-1]) is not None
    assert access.refusal({}, {"token": access.cookie}, "") is not None
