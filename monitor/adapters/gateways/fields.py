"""Reads a request into flat fields: query, form, JSON or XML; never fails, at worst there are none.

The bytes of every value stay what they were (undecodable ones as surrogates), because MD5 and RSA
signatures are made over them: a shop in GBK signs GBK. Of a repeated name the last value counts, as
in PHP. Numbers in JSON keep the digits they were written with: `28.88` is signed, not a float.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import unescape

from monitor.model.shops import RawRequest

FIELDS_MAX = 100
XML_BYTES_MAX = 8 * 1024  # a notice has 2 KiB; more is somebody trying

_ELEMENT = re.compile(
    r"<(?P<name>\w{1,64})>(?:<!\[CDATA\[(?P<raw>.*?)\]\]>|(?P<text>[^<]*))</(?P=name)>", re.DOTALL
)


def read_fields(request: RawRequest) -> dict[str, str]:
    """The fields of the body if it has any, else those of the query; an empty dict if there are none."""
    body = request.body.strip()
    if body.startswith(b"{"):
        return _of_json(body)
    if body.startswith(b"<"):
        return xml_fields(body)
    if body:
        return _of_form(body.decode("utf-8", "surrogateescape"))
    try:
        return _of_form(urlsplit(request.target).query)
    except ValueError:
        return {}


def _of_form(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="surrogateescape", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        return {}
    return dict(pairs)


def _of_json(body: bytes) -> dict[str, str]:
    """Texts and numbers of a flat object; anything deeper is nobody's callback."""
    found = read_json(body)
    if not isinstance(found, dict) or len(found) > FIELDS_MAX:
        return {}
    fields = {name: value for name, value in found.items() if value is not None}
    return fields if all(isinstance(value, str) for value in fields.values()) else {}


def read_json(body: bytes) -> Any:
    """A JSON value whose numbers are the texts they were written as; None if it is none."""
    try:
        return json.loads(body.decode(), parse_float=str, parse_int=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def xml_fields(body: bytes) -> dict[str, str]:
    """The elements of a flat XML text. A parser would follow entities that a stranger made up."""
    if len(body) > XML_BYTES_MAX:
        return {}
    text = body.decode("utf-8", "surrogateescape")
    found = islice(_ELEMENT.finditer(text), FIELDS_MAX)
    return {
        one["name"]: one["raw"] if one["raw"] is not None else unescape(one["text"])
        for one in found
    }


def bytes_of(text: str) -> bytes:
    """The bytes that came: undecodable ones are surrogates; JSON may bring lone ones of its own."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _refuse(_constant: str) -> Any:
    raise ValueError("no number")
