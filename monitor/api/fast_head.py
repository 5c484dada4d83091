"""The head of a request on the fast listener, read by llhttp.

What is not exactly `POST /v1/events` with a
`Content-Length` is refused here and the connection ends, so nothing can be hidden behind a body
whose end two parsers see in two places.

Source: RFC 9112 §6.3 (message body length), §11.2 (request smuggling).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

import httptools
import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from monitor.api.decode import has_attributes, is_json
from monitor.api.edge import Limits
from monitor.api.idempotency import HEADER as IDEMPOTENCY
from monitor.api.signed import is_signed
from monitor.model.errors import InputError

HEAD_BYTES_MAX = 16_384
PATH = "/v1/events"


class Head(msgspec.Struct, frozen=True):
    """What a head asks for; `length` is that of the body in bytes.

    `attributes` are all headers if some of them may be a CloudEvent's, else none. `is_ordinary`:
    a key or nothing says who sends, and the body is JSON as it is.
    """

    target: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    attributes: Mapping[str, str]
    length: int
    keeps_alive: bool
    is_ordinary: bool


class HeadError(InputError):
    """A head that is refused with an HTTP status of its own; the connection ends."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail, code=code)
        self.status = status


class _Lines:
    """Collects what the parser finds."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = 0
        self.is_complete = False

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def read_head(raw: bytes, limits: Limits) -> Head:
    """Read a whole head, the blank line included.

    Raises: HeadError.
    """
    lines = _Lines()
    parser = httptools.HttpRequestParser(lines)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        raise HeadError(400, "bad_request", "the request head cannot be read") from None
    # A head that goes on behind its own end is the beginning of somebody else's request.
    if lines.begun != 1 or not lines.is_complete:
        raise HeadError(400, "bad_request", "the request head cannot be read")
    if len(lines.headers) > limits.headers_max or _longest(lines) > limits.line_bytes_max:
        raise HeadError(431, "headers_too_large", "too many or too long header lines")
    headers = CIMultiDictProxy(CIMultiDict(_texts(lines)))
    target = lines.target.decode("utf-8", "surrogateescape")
    path, _, query = target.partition("?")
    if path != PATH:
        raise HeadError(404, "not_found", f"this listener serves {PATH} only")
    if parser.get_method() != b"POST":
        raise HeadError(405, "method_not_allowed", "this listener takes POST only")
    keeps_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
    attributes = headers if has_attributes(headers) else {}
    return Head(
        target,
        parse_qs(query),
        headers,
        attributes,
        _length(headers, limits),
        keeps_alive,
        keeps_alive and not (query or attributes) and _is_ordinary(headers),
    )


def _is_ordinary(headers: Mapping[str, str]) -> bool:
    if is_signed(headers) or IDEMPOTENCY in headers or "Content-Encoding" in headers:
        return False
    return is_json(headers.get("Content-Type", ""))


def _texts(lines: _Lines) -> list[tuple[str, str]]:
    return [
        (name.decode("ascii"), value.decode("utf-8", "surrogateescape"))
        for name, value in lines.headers
    ]


def _longest(lines: _Lines) -> int:
    return max([len(lines.target), *(len(name) + len(value) + 2 for name, value in lines.headers)])


def _length(headers: CIMultiDictProxy[str], limits: Limits) -> int:
    """The length of the body; there is one, said once, and in no other way."""
    if "Transfer-Encoding" in headers:
        raise HeadError(411, "length_required", "send a Content-Length; chunks are not taken here")
    if "Expect" in headers:
        raise HeadError(417, "expectation_failed", "send the body without waiting for a 100")
    said = headers.getall("Content-Length", [])
    if len(said) != 1 or not (said[0].isascii() and said[0].isdigit()):
        raise HeadError(411, "length_required", "send one Content-Length")
    if len(said[0]) > len(str(limits.body_bytes_max)) or int(said[0]) > limits.body_bytes_max:
        raise HeadError(413, "too_large", f"the body has more than {limits.body_bytes_max} bytes")
    return int(said[0])
