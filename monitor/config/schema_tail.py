"""The shape of `sources[].tail`: a log that is followed, and how its lines become events."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from monitor.config.values import FEW, ConfigModel, Text, one_of

FORMATS = ("ndjson", "json", "regex")


class TailField(ConfigModel):
    """Where a field of an event comes from, and what its values mean."""

    path: Text | None = None
    values: Annotated[dict[str, Text], FEW] = {}
    default: Text | None = None
    value: Text | None = None


def _short(written: object) -> object:
    """`order_id: no` is short for `order_id: {path: no}`."""
    return {"path": written} if isinstance(written, str) else written


class Tail(ConfigModel):
    """A file that the shop appends to."""

    file: Text
    format: Annotated[str, one_of(*FORMATS)] = "ndjson"
    pattern: Text | None = None
    map: Annotated[dict[str, Annotated[TailField, BeforeValidator(_short)]], FEW] = {}
