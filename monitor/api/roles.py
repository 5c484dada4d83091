"""Which routes an address serves, where the configuration gives a kind of route one of its own.

| address | serves |
|---|---|
| `listen_ingest` | `/v1/events`, `/e/…`, `/hooks/{source}`, and what else shops and suppliers send and ask: the route, a quote, the ack of a switch, callbacks, `/relay/…` |
| `listen_metrics` | `/metrics` |
| `listen` | everything else, and what has no address of its own |

Every address has the probes. What is served elsewhere is a 404.
"""

from __future__ import annotations

from collections.abc import Iterable

from monitor.api.by_path import EVENT_PATH
from monitor.api.hooks import HOOKS
from monitor.api.relay import RELAY_PATH
from monitor.api.routes import Route

EVENTS, METRICS = "/v1/events", "/metrics"
INTAKE = (EVENTS, EVENT_PATH, HOOKS)
PROBES = ("/livez", "/readyz", "/-/healthy", "/-/ready")
# Also on `listen`: they show no more than the pages there, and links lead to that address.
CALLBACKS = "/hooks/channels/{name:[^/]+}"
OF_SHOPS = (
    "/v1/route", "/v1/quote", "/v1/switches/{decision_id}/ack", CALLBACKS, RELAY_PATH,
)  # fmt: skip


def of_ingest(routes: Iterable[Route]) -> tuple[Route, ...]:
    """What `listen_ingest` serves."""
    return tuple(route for route in routes if route.path in (*INTAKE, *OF_SHOPS, *PROBES))


def of_metrics(routes: Iterable[Route]) -> tuple[Route, ...]:
    """What `listen_metrics` serves."""
    return tuple(route for route in routes if route.path in (METRICS, *PROBES))


def of_listen(routes: Iterable[Route], *, has_ingest: bool, has_metrics: bool) -> tuple[Route, ...]:
    """What is left for `listen`, where events or metrics have an address of their own."""
    gone = (*(INTAKE if has_ingest else ()), *((METRICS,) if has_metrics else ()))
    return tuple(route for route in routes if route.path not in gone)
