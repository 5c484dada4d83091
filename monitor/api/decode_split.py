"""Cutting a body into events without reading them, so that a bad one does not spoil the rest."""

from __future__ import annotations

import re

import msgspec

from monitor.model.errors import InputError

EVENTS_MAX = 1_000
TOKENS_MAX = 300_000  # about 50 ms; only a hostile body has more

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SPACE = b" \t\r\n"
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{},]', re.DOTALL)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])


def split_json(body: bytes) -> tuple[list[bytes], bool]:
    """Return the texts of the events, and whether they stood in an array.

    Raises: InputError `bad_json` (an array that does not end), `too_many_events`.
    """
    text = body.removeprefix(_BYTE_ORDER_MARK).strip(SPACE)
    if not text.startswith(b"["):
        return [text], False
    try:
        pieces = [bytes(piece) for piece in _raw_list.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        # One event is malformed or a bomb: find the borders by brackets alone.
        pieces = _split_by_brackets(text)
    return _bounded(pieces), True


def split_lines(body: bytes) -> list[bytes]:
    """Return the lines of NDJSON that are not blank.

    Raises: InputError `too_many_events`.
    """
    lines = (line.strip(SPACE) for line in body.removeprefix(_BYTE_ORDER_MARK).split(b"\n"))
    return _bounded([line for line in lines if line])


def _bounded(pieces: list[bytes]) -> list[bytes]:
    if len(pieces) > EVENTS_MAX:
        raise InputError(
            f"{len(pieces)} events in one request, at most {EVENTS_MAX} are taken; send less",
            code="too_many_events",
        )
    return pieces


def _split_by_brackets(text: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    depth, start = 0, 1
    for count, token in enumerate(_TOKEN.finditer(text)):
        mark = token[0]
        if mark == b'"' or count > TOKENS_MAX:
            break
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
        if (mark == b"," and depth == 1) or depth == 0:
            pieces.append(text[start : token.start()].strip(SPACE))
            start = token.end()
        if depth == 0:
            if start == len(text):
                return pieces
            break
    raise InputError("the body is not a complete JSON array", code="bad_json")
