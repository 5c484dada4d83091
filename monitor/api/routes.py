"""Every route of the API, one line each: method, path, the scope it needs, and its handler."""

from __future__ import annotations

from typing import NamedTuple

from monitor.api import (
    actions,
    batches,
    explaining,
    fleet,
    orders,
    reports,
    reviewing,
    routing,
    steering,
    takeovers,
)
from monitor.api.audit import get_audit
from monitor.api.auth import ADMIN, INGEST, OPERATE, READ
from monitor.api.by_path import EVENT_PATH, take_event
from monitor.api.hooks import HOOKS, get_hook, post_hook
from monitor.api.ingest import post_events
from monitor.api.live import get_livez, get_readyz, get_stream
from monitor.api.once import once
from monitor.api.operations import get_metrics, post_reload
from monitor.api.problems import Handler
from monitor.api.relay import RELAY_PATH, pass_callback


class Route(NamedTuple):
    """One line of the table; `scope` None is open to everybody who passes the Host check.

    `is_early`: answers also before the state is rebuilt; all others are 503 until then. Ids and
    names match `[^/]+`, because aiohttp's own pattern leaves out braces. `takes_signed`: a signature
    over the body stands for a token; it does not cover the path, so one route only takes it.
    `has_key`: the address holds the key; it is asked for by exactly the methods of its routes.
    `action`: what it changes, by the name in the audit.
    """

    method: str
    path: str
    scope: str | None
    handler: Handler
    is_early: bool = False
    takes_signed: bool = False
    has_key: bool = False
    action: str = ""


ROUTES = (
    Route(
        "POST",
        "/v1/events",
        INGEST,
        once(post_events, lambda edge: edge.event_answers),
        is_early=True,
        takes_signed=True,
    ),
    *(
        Route(
            method,
            EVENT_PATH,
            INGEST,
            once(take_event, lambda edge: edge.event_answers),
            is_early=True,
            has_key=True,
        )
        for method in ("POST", "GET")
    ),
    Route("GET", "/v1/orders", READ, orders.get_orders),
    Route("GET", "/v1/orders/{id:[^/]+}", READ, orders.get_order),
    Route("GET", "/v1/quote", READ, orders.get_quote),
    Route("GET", "/v1/health-index", READ, fleet.get_health_index),
    Route("GET", "/v1/signals", READ, fleet.get_signals),
    Route("GET", "/v1/alerts", READ, fleet.get_alerts),
    Route("GET", "/v1/rules", READ, fleet.get_rules),
    Route("GET", "/v1/rules/{rule:[^/]+}/explanation", READ, explaining.get_explanation),
    Route("GET", "/v1/slos", READ, fleet.get_slos),
    Route("GET", "/v1/arrivals", READ, fleet.get_arrivals),
    Route("GET", "/v1/sources", READ, fleet.get_sources),
    Route("GET", "/v1/state-hash", READ, fleet.get_state_hash),
    Route("GET", "/v1/channels", READ, fleet.get_channels),
    Route(
        "POST",
        "/v1/channels/{name:[^/]+}/drain",
        OPERATE,
        once(steering.post_drain),
        action="channel.drain",
    ),
    Route(
        "POST",
        "/v1/channels/{name:[^/]+}/lock",
        OPERATE,
        once(steering.post_lock),
        action="channel.lock",
    ),
    Route(
        "POST",
        "/v1/channels/{name:[^/]+}/unlock",
        OPERATE,
        once(steering.post_unlock),
        action="channel.unlock",
    ),
    Route("GET", "/v1/route", READ, routing.get_route),
    Route("GET", "/v1/switches", READ, routing.get_switches),
    Route("POST", "/v1/switches", OPERATE, once(routing.post_switch), action="switch"),
    Route("GET", "/v1/review", READ, reviewing.get_reviews),
    Route("POST", "/v1/review", OPERATE, once(reviewing.post_review), action="review"),
    Route(
        "POST",
        "/v1/switches/{decision_id}/ack",
        INGEST,
        once(routing.post_ack),
        action="switch.ack",
    ),
    Route("GET", "/v1/takeovers", READ, takeovers.get_takeovers),
    Route("GET", "/v1/takeovers/{id:[^/]+}", READ, takeovers.get_takeover),
    Route(
        "POST",
        "/v1/takeovers/{id:[^/]+}/cancel",
        OPERATE,
        once(takeovers.post_cancel),
        action="takeover.cancel",
    ),
    Route(
        "POST",
        "/v1/takeovers/{id:[^/]+}/resolution",
        OPERATE,
        once(takeovers.post_resolution),
        action="takeover.resolution",
    ),
    Route(
        "POST",
        "/v1/takeovers/{id:[^/]+}/claim",
        OPERATE,
        once(takeovers.post_claim),
        action="takeover.claim",
    ),
    Route(
        "POST",
        "/v1/attempts/{id:[^/]+}/result",
        OPERATE,
        once(reports.post_result),
        action="attempt.result",
    ),
    # Open to everybody: the supplier's signature over the body is checked instead of a token.
    Route("POST", "/hooks/channels/{name:[^/]+}", None, reports.post_callback),
    # Open too: each kind of shop has a proof of its own, which its adapter checks.
    Route("POST", HOOKS, None, post_hook, is_early=True),
    Route("GET", HOOKS, None, get_hook, is_early=True),
    # Open as the address of the shop that it stands before.
    Route("*", RELAY_PATH, None, pass_callback, is_early=True),
    Route("GET", "/v1/actions", READ, actions.get_actions),
    Route(
        "POST",
        "/v1/actions/{id:[^/]+}",
        OPERATE,
        once(actions.post_action),
        action="action",
    ),
    Route("GET", "/v1/batches", READ, batches.get_batches),
    Route("POST", "/v1/batches", OPERATE, once(batches.post_batch), action="batch"),
    Route("GET", "/v1/batches/{id:[^/]+}", READ, batches.get_batch),
    Route(
        "POST",
        "/v1/batches/{id:[^/]+}/cancel",
        OPERATE,
        once(batches.post_cancel),
        action="batch.cancel",
    ),
    Route("GET", "/v1/audit", READ, get_audit),
    Route("GET", "/v1/stream", READ, get_stream),
    # Open like the probes, as every scraper expects; no label holds an order, a buyer or a payment.
    Route("GET", "/metrics", None, get_metrics, is_early=True),
    Route("GET", "/livez", None, get_livez, is_early=True),
    Route("GET", "/-/healthy", None, get_livez, is_early=True),
    Route("GET", "/readyz", None, get_readyz, is_early=True),
    Route("GET", "/-/ready", None, get_readyz, is_early=True),
    Route("POST", "/-/reload", ADMIN, once(post_reload), action="reload"),
)


def page_route(path: str, handler: Handler) -> Route:
    """Put a page behind the same gate as the API; its style sheet and script are for everybody.

    It answers early: the page itself says that the state is being rebuilt.
    """
    scope = None if path.startswith("/static/") else READ
    return Route("GET", path, scope, handler, is_early=True)
