"""A small shop at one instant, and the page looking at it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from aiohttp import ClientSession, web

from monitor.core.engine import Engine
from monitor.core.rules.parse import parse
from monitor.model.commands import Batch, Tick
from monitor.model.events import OrderEvent
from monitor.model.rules import Rule, RuleSet
from monitor.model.settings import (
    ChannelSettings,
    FailoverSettings,
    FallbackSettings,
    ReceiverSettings,
    Settings,
    SourceSettings,
)
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.web.page import page_routes

NOON_MS = 1_767_585_600_000  # 2026-01-05T04:00:00Z, noon in Shanghai

SETTINGS = Settings(
    sources=(SourceSettings("main-shop", heartbeat_ms=5 * MINUTE_MS), SourceSettings("second")),
    channels=(
        ChannelSettings("auto"),
        ChannelSettings("supplier", "http", "queryable"),
        ChannelSettings("pool", "stock"),
        ChannelSettings("staff", "manual"),
    ),
    receivers=(ReceiverSettings("ops", ("dingtalk/0",)),),
    default_receiver="ops",
)
ARMED = msgspec.structs.replace(
    SETTINGS,
    failover=FailoverSettings("enforce", has_webhook=True),
    fallback=FallbackSettings("enforce", order=("supplier", "staff"), has_shop=True),
)


def event(
    kind: str, order_id: str, time_ms: int, channel: str = "auto", **more: object
) -> OrderEvent:
    event_id = f"{order_id}/{kind}"
    source = str(more.pop("source", "main-shop"))
    return OrderEvent(kind, order_id, source, event_id, time_ms, time_ms, channel=channel, **more)  # type: ignore[arg-type]  # the keywords are fields of the event


def rules() -> RuleSet:
    """One rule over late shares and one over the oldest order."""
    late = _rule("DelayedOver2Percent", "delayed_ratio[10m:20:6h] > 2%", ("channel",))
    late = msgspec.structs.replace(
        late,
        annotations=(
            ("summary", "{{ count }} of {{ total }} orders on {{ channel }} are late"),
            ("summary_zh", "渠道 {{ channel }}：{{ total }} 单中有 {{ count }} 单延迟"),
        ),
    )
    return RuleSet((late, _rule("OldestOrderWaiting", "oldest_age > 30m", (), "info")))


def _rule(name: str, expr: str, by: tuple[str, ...], severity: str = "critical") -> Rule:
    return Rule(
        alert=name, expr_text=expr, expr=parse(expr).node, group="delivery",
        interval_ms=15 * SECOND_MS, by=by, severity=severity,
    )  # fmt: skip


def quiet_shop(settings: Settings = SETTINGS) -> Engine:
    """A shop nobody has heard of yet."""
    return Engine(settings, rules())


def healthy_shop(now_ms: int = NOON_MS, settings: Settings = SETTINGS) -> Engine:
    """Twenty orders of the last ten minutes, each delivered after 8 s; one waits since 12 s."""
    engine = quiet_shop(settings)
    for number in range(20):
        paid_ms = now_ms - 10 * MINUTE_MS + number * 30 * SECOND_MS
        feed(engine, event("order.paid", f"A{number}", paid_ms, sku="steam-50"))
        feed(engine, event("delivery.delivered", f"A{number}", paid_ms + 8 * SECOND_MS))
    feed(engine, event("order.paid", "A20", now_ms - 12 * SECOND_MS, sku="steam-50"))
    engine.handle(Tick(), now_ms)
    return engine


def broken_shop(now_ms: int = NOON_MS, settings: Settings = SETTINGS) -> Engine:
    """Twelve orders delivered in time, then the channel stops: eight wait since 1 to 36 min."""
    engine = quiet_shop(settings)
    told = [event("order.paid", "B0", now_ms - 36 * MINUTE_MS)]
    for number in range(12):
        paid_ms = now_ms - 30 * MINUTE_MS + number * MINUTE_MS
        told.append(event("order.paid", f"A{number}", paid_ms, sku="steam-50"))
        told.append(event("delivery.delivered", f"A{number}", paid_ms + 8_400))
    for number in range(1, 8):
        paid_ms = now_ms - 8 * MINUTE_MS + number * MINUTE_MS
        told.append(event("order.paid", f"B{number}", paid_ms, sku="steam-50"))
        told.append(event("delivery.attempted", f"B{number}", paid_ms + 900))
    for one in sorted(told, key=lambda one: one.time_ms):
        feed(engine, one)
    for back in range(60, -1, -5):
        engine.handle(Tick(), now_ms - back * SECOND_MS)
    return engine


def feed(engine: Engine, told: OrderEvent) -> None:
    """Let the engine hear an event when it happens."""
    engine.handle(Batch((told,)), told.received_ms)


class Shop:
    """A page source whose engine and clock the test holds."""

    def __init__(self, engine: Engine | None, notes: Sequence[str] = ()) -> None:
        self.engine = engine
        self.language = "zh-CN"
        self.timezone = "Asia/Shanghai"
        self.at_ms = NOON_MS
        self.loud: Sequence[str] = notes

    def now_ms(self) -> int:
        return self.at_ms

    def notes(self) -> Sequence[str]:
        return self.loud


@asynccontextmanager
async def looking_at(shop: Shop) -> AsyncIterator[ClientSession]:
    """A client of a real server with the routes of the page."""
    app = web.Application()
    app.add_routes(page_routes(shop))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            yield session
    finally:
        await runner.cleanup()
