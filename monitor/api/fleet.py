"""What is asked about all orders together: health, signals, alerts, channels, budgets, sources."""

from __future__ import annotations

from aiohttp import web

from monitor.api.edge import EDGE
from monitor.api.json_body import answer
from monitor.api.pages import page
from monitor.api.query import choice, duration, instant, text
from monitor.core.engine import Engine
from monitor.core.views import arrivals, budgets, channels, fleet, signals
from monitor.model.errors import NotFoundError
from monitor.model.ids import WHOLE_SHOP
from monitor.model.spelling import did_you_mean
from monitor.model.times import HOUR_MS, MINUTE_MS, format_duration, format_rfc3339

WINDOW_MS = 15 * MINUTE_MS
TAU_MS_MAX = 6 * HOUR_MS


async def get_health_index(request: web.Request) -> web.StreamResponse:
    """Give the index of all orders or of one channel (`scope`), with its components.

    Raises: InputError, NotFoundError for a channel nobody knows.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    scope, window_ms = text(request, "scope") or "all", _window_ms(request, engine)
    channel = None if scope in WHOLE_SHOP else known_channel(engine, scope)
    index = signals.health(engine, channel, window_ms, now_ms)
    return answer(
        {
            "scope": channel or "all",
            "window": format_duration(window_ms),
            "at": format_rfc3339(now_ms),
            "value": index.value,
            "state": index.state,
            "components": index.components,
            "n": index.n,
            "band": index.band,
        }
    )


async def get_signals(request: web.Request) -> web.StreamResponse:
    """Give verdicts, percentiles and evidence of all orders and, `by=channel`, of each channel.

    `tau` bounds the restricted mean: it is that of min(delay, tau).

    Raises: InputError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    window_ms = _window_ms(request, engine)
    tau_ms = duration(request, "tau", default_ms=signals.MEAN_TAU_MS, high_ms=TAU_MS_MAX)
    scopes: list[str | None] = [None]
    if choice(request, "by", ("channel",)):
        scopes += engine.shard.channels
    return answer(
        {
            "window": format_duration(window_ms),
            "at": format_rfc3339(now_ms),
            "signals": signals.signals_by_scope(engine, scopes, window_ms, now_ms, tau_ms=tau_ms),
        }
    )


async def get_alerts(request: web.Request) -> web.StreamResponse:
    """List alerts with state, reason and evidence, firing ones first; raises InputError."""
    return answer(page(request, "alerts", fleet.alerts(request.app[EDGE].service.rebuilt())))


async def get_rules(request: web.Request) -> web.StreamResponse:
    """List the rules as loaded, with their latest findings; raises InputError."""
    return answer(page(request, "rules", fleet.rules(request.app[EDGE].service.rebuilt())))


async def get_channels(request: web.Request) -> web.StreamResponse:
    """List channels with weight, breaker evidence, chart and baseline; raises InputError."""
    edge = request.app[EDGE]
    views = channels.channels(edge.service.rebuilt(), edge.clock.now_ms())
    return answer(page(request, "channels", views))


async def get_slos(request: web.Request) -> web.StreamResponse:
    """List error budgets with their burn rates, of all orders and, `by=channel`, of each channel.

    Raises: InputError.
    """
    edge = request.app[EDGE]
    is_split = choice(request, "by", ("channel",)) is not None
    views = budgets.slos(edge.service.rebuilt(), edge.clock.now_ms(), by_channel=is_split)
    return answer(page(request, "slos", views))


async def get_arrivals(request: web.Request) -> web.StreamResponse:
    """Give orders against those expected, by source, and payments against orders, by provider."""
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    return answer(
        {
            "at": format_rfc3339(now_ms),
            "arrivals": arrivals.arrivals(engine, now_ms),
            "callbacks": arrivals.callbacks(engine, now_ms),
        }
    )


async def get_sources(request: web.Request) -> web.StreamResponse:
    """List sources: when each was last heard, and whether that is too long ago."""
    edge = request.app[EDGE]
    views = fleet.sources(edge.service.rebuilt(), edge.clock.now_ms())
    return answer(page(request, "sources", views))


async def get_state_hash(request: web.Request) -> web.StreamResponse:
    """Hash all orders, wherever they are, as judged `at` a time (default: the latest fact's).

    Two services that accepted the same events answer the same; `events` counts what was accepted.

    Raises: InputError, CapacityError, StorageError.
    """
    service = request.app[EDGE].service
    found = await service.state_hash(instant(request, "at"))
    events = service.rebuilt().shard.totals.events
    accepted = sum(count for key, count in events.items() if key.endswith("\taccepted"))
    return answer(
        {
            "state_hash": found.state_hash,
            "judged_at": format_rfc3339(found.judged_ms),
            "orders": found.orders,
            "events": accepted,
        }
    )


def known_channel(engine: Engine, name: str) -> str:
    """Return the name if it is a channel.

    Raises: NotFoundError with the closest name.
    """
    if name in engine.shard.channels:
        return name
    hint = did_you_mean(name, engine.shard.channels) or "see GET /v1/channels"
    raise NotFoundError("there is no such channel", code="unknown_channel", hint=hint)


def _window_ms(request: web.Request, engine: Engine) -> int:
    longest_ms = engine.settings.signal_window_ms
    return duration(request, "window", default_ms=WINDOW_MS, high_ms=longest_ms)
