"""A request body becomes events: CloudEvents in three modes, bare JSON, NDJSON (contract §2).

Pure: no server, no clock. One bad event never loses the good ones, and no body raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from monitor.api.decode_clean import parse_object
from monitor.api.decode_event import decode_object, decode_text, decode_wire
from monitor.api.decode_quick import (
    Sender,
    Wire,
    build,
    is_clean_text,
    read_array,
    read_lines,
    read_one,
)
from monitor.api.decode_split import EVENTS_MAX, SPACE, split_json, split_lines
from monitor.api.decode_types import DecodeContext, Decoded, Json, Notes, Rejected
from monitor.api.decode_wire import ENVELOPE
from monitor.model.errors import InputError
from monitor.model.events import OrderEvent

__all__ = ["EVENTS_MAX", "DecodeContext", "Decoded", "Rejected", "decode", "decode_together"]

_BINARY_PREFIX = "ce-"
_JSON_TYPES = (  # the batch first: the plain name is a prefix of it
    "application/cloudevents-batch+json",
    "application/cloudevents+json",
    "application/json",
)
_ONE_INDEX = (0,)
_LINE_TYPES = ("application/x-ndjson", "application/ndjson")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPED = re.compile(r"\\(.)")

# One event to decode: gets context and notes, gives the event or raises InputError.
_Source = Callable[[DecodeContext, Notes], OrderEvent]


def decode(
    body: bytes, content_type: str, headers: Mapping[str, str], context: DecodeContext
) -> Decoded:
    """Decode all events of a request; every one that cannot be taken is in `rejected`.

    Codes of a body that is refused whole: `unsupported_media_type too_many_events bad_json
    bad_header`.
    """
    media = content_type.partition(";")[0].strip().lower()
    is_binary = has_attributes(headers) and not media.startswith("application/cloudevents")
    if not is_binary:
        wires, is_list = _read_quick(body, media)
        if wires is not None:
            return _decode_quick(wires, body, context, is_list=is_list)
    try:
        sources, is_list = _sources(body, media, headers if is_binary else None)
    except InputError as error:
        return Decoded(rejected=(Rejected(0, error.code, str(error), error.pointer),))
    return _decode_each(sources, context, is_list=is_list)


def decode_together(bodies: Sequence[bytes], context: DecodeContext) -> Sequence[OrderEvent | None]:
    """Decode JSON bodies of one sender, one ordinary event each, all at once; None: one for `decode`.

    A third of the work is the same for one event and for a hundred.
    """
    text = b"\n".join(bodies)
    # A line break within a body could make two events of one, beside an empty body.
    wires = read_lines(text) if text.count(b"\n") == len(bodies) - 1 else None
    if wires is None or len(wires) != len(bodies):
        return (None,) * len(bodies)
    sender = Sender(context, is_clean=is_clean_text(text))
    return [build(wire, sender) for wire in wires]


def is_json(content_type: str) -> bool:
    """Whether a body of this type is JSON: an event, or an array of events."""
    return content_type.partition(";")[0].strip().lower() in _JSON_TYPES


def has_attributes(headers: Mapping[str, str]) -> bool:
    """Whether there is a `ce-` header: then the request may be an event in binary mode."""
    return any([name[:3].lower() == _BINARY_PREFIX for name in headers])  # noqa: C419 - faster


def _read_quick(body: bytes, media: str) -> tuple[Sequence[Wire] | None, bool]:
    """Read a body whose events are all exactly of one shape; also, whether they are a list."""
    if media in _LINE_TYPES:
        return read_lines(body), True
    if media not in _JSON_TYPES:
        return None, False
    if not body.startswith(b"{") and body.lstrip(SPACE).startswith(b"["):
        return read_array(body), True
    wire = read_one(body)
    return None if wire is None else (wire,), False


def _decode_quick(
    wires: Sequence[Wire], body: bytes, context: DecodeContext, *, is_list: bool
) -> Decoded:
    """Make the events; the few that are out of the ordinary are judged alone."""
    sender = Sender(context, is_clean=is_clean_text(body))
    if len(wires) == 1 and (event := build(wires[0], sender)) is not None:
        return Decoded((event,), _ONE_INDEX, is_list=is_list)
    events = [build(wire, sender) for wire in wires]
    if all(events):
        whole = cast("tuple[OrderEvent, ...]", tuple(events))
        return Decoded(whole, tuple(range(len(whole))), is_list=is_list)
    sources = [
        _ready(event) if event is not None else _wire_source(wire, is_clean=sender.is_clean)
        for event, wire in zip(events, wires, strict=True)
    ]
    return _decode_each(sources, context, is_list=is_list)


def _decode_each(sources: Sequence[_Source], context: DecodeContext, *, is_list: bool) -> Decoded:
    notes = Notes()
    events: list[OrderEvent] = []
    indexes: list[int] = []
    rejected: list[Rejected] = []
    for index, source in enumerate(sources):
        try:
            events.append(source(context, notes))
            indexes.append(index)
        except InputError as error:
            pointer = f"/{index}{error.pointer}" if is_list else error.pointer
            rejected.append(Rejected(index, error.code, str(error), pointer))
    return Decoded(
        tuple(events),
        tuple(indexes),
        tuple(rejected),
        notes.warnings(),
        notes.unknown.total(),
        notes.secrets.total(),
        is_list,
    )


def _sources(
    body: bytes, media: str, headers: Mapping[str, str] | None
) -> tuple[list[_Source], bool]:
    """Choose the format; returns what to decode, and whether pointers start with an index.

    `headers` are those of a request in binary mode.
    """
    if headers is not None:
        event = _read_binary(body, media, headers)
        return [lambda context, notes: decode_object(event, context, notes)], False
    if media in _JSON_TYPES:
        texts, is_list = split_json(body)
    elif media in _LINE_TYPES:
        texts, is_list = split_lines(body), True
    else:
        raise _unsupported()
    return [_text_source(text) for text in texts], is_list


def _ready(event: OrderEvent) -> _Source:
    return lambda _context, _notes: event


def _wire_source(wire: Wire, *, is_clean: bool) -> _Source:
    return lambda context, notes: decode_wire(wire, context, notes, is_clean=is_clean)


def _text_source(text: bytes) -> _Source:
    return lambda context, notes: decode_text(text, context, notes)


def _read_binary(body: bytes, media: str, headers: Mapping[str, str]) -> dict[str, Json]:
    """Read the binary mode: attributes in `ce-*` headers, `data` as body."""
    event: dict[str, Json] = {}
    for header, value in headers.items():
        name = header.lower()
        if not name.startswith(_BINARY_PREFIX):
            continue
        name = name.removeprefix(_BINARY_PREFIX)
        if name in event:
            raise InputError(f"header ce-{name} stands twice", code="bad_header")
        # Only attributes of the envelope travel in headers; others are named in a warning.
        event[name if name in ENVELOPE else f"ce-{name}"] = _header_text(name, value)
    event.pop("datacontenttype", None)  # in this mode that is the Content-Type
    if body.strip():
        if media and media != "application/json" and not media.endswith("+json"):
            raise _unsupported()
        event["data"] = parse_object(body, "/data")
    return event


def _header_text(name: str, value: str) -> str:
    """Undo quotation marks and percent-encoding, once.

    Source: CloudEvents HTTP protocol binding 1.0.2, §3.1.3.2.
    """
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = _ESCAPED.sub(r"\1", text[1:-1])
    try:
        raw = text.encode("utf-8")
        return _PERCENT.sub(lambda code: bytes.fromhex(code[1].decode()), raw).decode("utf-8")
    except UnicodeError:
        raise InputError(f"header ce-{name} is not UTF-8", code="bad_header") from None


def _unsupported() -> InputError:
    return InputError(
        f"send {', '.join(_JSON_TYPES)} or {_LINE_TYPES[0]}", code="unsupported_media_type"
    )
