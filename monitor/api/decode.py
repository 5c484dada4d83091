"""A request body becomes events: CloudEvents in three modes, bare JSON, NDJSON (contract §2).

Pure: no server, no clock. One bad event never loses the good ones, and no body raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from monitor.api.decode_clean import Json, parse_object
from monitor.api.decode_event import decode_object, decode_text
from monitor.api.decode_split import EVENTS_MAX, split_json, split_lines
from monitor.api.decode_types import DecodeContext, Decoded, Notes, Rejected
from monitor.api.decode_wire import ENVELOPE
from monitor.model.errors import InputError
from monitor.model.events import OrderEvent

__all__ = ["EVENTS_MAX", "DecodeContext", "Decoded", "Rejected", "decode"]

_BINARY_PREFIX = "ce-"
_JSON_TYPES = (  # the batch first: the plain name is a prefix of it
    "application/cloudevents-batch+json",
    "application/cloudevents+json",
    "application/json",
)
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
    try:
        sources, is_list = _sources(body, content_type, headers)
    except InputError as error:
        return Decoded(rejected=(Rejected(0, error.code, str(error), error.pointer),))
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
    body: bytes, content_type: str, headers: Mapping[str, str]
) -> tuple[list[_Source], bool]:
    """Choose the format; returns what to decode, and whether pointers start with an index."""
    media = content_type.partition(";")[0].strip().lower()
    is_binary = any(name.lower().startswith(_BINARY_PREFIX) for name in headers)
    if is_binary and not media.startswith("application/cloudevents"):
        event = _read_binary(body, media, headers)
        return [lambda context, notes: decode_object(event, context, notes)], False
    if media in _JSON_TYPES:
        texts, is_list = split_json(body)
    elif media in _LINE_TYPES:
        texts, is_list = split_lines(body), True
    else:
        raise _unsupported()
    return [_text_source(text) for text in texts], is_list


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
