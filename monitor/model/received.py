"""A request that somebody outside sent us, as far as a signature over it is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Received(msgspec.Struct, frozen=True):
    """A request of a supplier: header names in lower case, the body as it came.

    `fields` are those of its JSON object or form.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    fields: Mapping[str, Any]
