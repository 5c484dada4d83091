"""Every route of the API, one line each: method, path, the scope it needs, and its handler."""

from __future__ import annotations

from typing import NamedTuple

from monitor.api.auth import INGEST, READ
from monitor.api.ingest import post_events
from monitor.api.live import get_livez, get_readyz, get_stream
from monitor.api.problems import Handler


class Route(NamedTuple):
    """One line of the table; `scope` None is open to everybody who passes the Host check."""

    method: str
    path: str
    scope: str | None
    handler: Handler


ROUTES = (
    Route("POST", "/v1/events", INGEST, post_events),
    Route("GET", "/v1/stream", READ, get_stream),
    Route("GET", "/livez", None, get_livez),
    Route("GET", "/-/healthy", None, get_livez),
    Route("GET", "/readyz", None, get_readyz),
    Route("GET", "/-/ready", None, get_readyz),
)
