"""A target with bytes beyond ASCII gets past the parser and is what it was behind it."""

from __future__ import annotations

from monitor.api.raw_target import TARGETS_MAX, RawTargets

HEAD = b"GET /relay/main/epay?name=\xe4\xbc\x9a\xff&a=1 HTTP/1.1\r\nHost: \xe4\r\n\r\n"


def test_bytes_are_escaped_for_the_parser_and_kept_for_the_relay() -> None:
    """Only in the request line, and asked for once."""
    targets = RawTargets()
    escaped = targets.escaped(HEAD)
    assert escaped == (b"GET /relay/main/epay?name=%E4%BC%9A%FF&a=1 HTTP/1.1\r\nHost: \xe4\r\n\r\n")
    target = "/relay/main/epay?name=%E4%BC%9A%FF&a=1"
    assert targets.raw(target).encode("utf-8", "surrogateescape") == HEAD.split(b" ")[1]
    assert targets.raw(target) == target


def test_everything_else_is_left_to_the_parser() -> None:
    """Other routes, plain targets, and what is no request line."""
    targets = RawTargets()
    for data in (
        b"GET /v1/orders?x=\xff HTTP/1.1\r\n\r\n",
        b"GET /relay/main/epay?a=1 HTTP/1.1\r\n\r\n",
        b"GET /relay/main/epay?a=\xff",
        b"\xff /relay/main/epay?a=\xff HTTP/1.1\r\n\r\n",
    ):
        assert targets.escaped(data) == data


def test_connection_keeps_only_a_few() -> None:
    """Of requests that never reached the relay."""
    targets = RawTargets()
    for number in range(3 * TARGETS_MAX):
        targets.escaped(HEAD.replace(b"a=1", b"a=%d" % number))
    assert len(targets._raw) <= TARGETS_MAX
