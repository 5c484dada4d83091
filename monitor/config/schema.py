"""The shape of `monitor.yaml`: every key of contract §5 that this version understands.

Keys of the contract that come with later versions are named in `monitor/config/later.py`. What
pydantic cannot see in one value alone is in `monitor/config/check.py`. Defaults are those of
`monitor/model/settings.py`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from monitor.config.schema_channels import Channel
from monitor.config.schema_database import Place
from monitor.config.schema_gateways import Gateway
from monitor.config.schema_outlets import Egress, Notify, PlainWebhook, Telemetry, Webhook
from monitor.config.schema_relay import Relay
from monitor.config.schema_tail import Tail
from monitor.config.values import (
    FEW,
    ConfigModel,
    Count,
    Currency,
    Files,
    Flag,
    HostName,
    Listen,
    Mode,
    Money,
    Name,
    Network,
    Places,
    Prefix,
    Quota,
    Span,
    Spans,
    Text,
    Url,
    keys_of,
    one_of,
)
from monitor.model.settings import PromiseTable
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

LANGUAGES = ("zh-CN", "en")
SPEEDS = ("express", "normal", "economy")
FULFILMENTS = ("auto", "manual")
CANARY_EVERY_MS_MIN = 10 * SECOND_MS
REPLAY_WINDOW_MS_MIN = 30 * SECOND_MS
REPLAY_WINDOW_MS_MAX = 15 * MINUTE_MS


def _canary_span(every_ms: int) -> int:
    if every_ms < CANARY_EVERY_MS_MIN:
        raise ValueError("is too often; place a synthetic order every 10s or less often")
    return every_ms


def _replay_window(window_ms: int) -> int:
    if not REPLAY_WINDOW_MS_MIN <= window_ms <= REPLAY_WINDOW_MS_MAX:
        raise ValueError("must be between 30s and 15m")
    return window_ms


def _promise_word(value: object) -> object:
    return None if value == "promise" else value


class Retention(ConfigModel):
    """How long the log and closed orders are kept."""

    events: Span = 30 * DAY_MS
    orders: Span = 400 * DAY_MS


class Connections(ConfigModel):
    """How many connections one address of the service takes."""

    max: Places = 1_000
    per_address: Places = 64
    proxies: Annotated[list[Network], FEW] = []


class Promise(ConfigModel):
    """The time within which an order should be delivered; the most specific entry wins."""

    default: Span = 3 * MINUTE_MS
    by_speed: Annotated[Spans, keys_of(*SPEEDS)] = PromiseTable().by_speed
    by_sku: dict[str, Span] = {}
    by_fulfilment: Annotated[Spans, keys_of(*FULFILMENTS)] = PromiseTable().by_fulfilment


class Tiers(ConfigModel):
    """Ages at which a late order gets a stronger response."""

    l1_after: Annotated[Span | None, BeforeValidator(_promise_word)] = None
    l2_after: Span = 5 * MINUTE_MS
    l3_after: Span = 30 * MINUTE_MS


class Database(Place):
    """Where a shop keeps its orders: `mysql://user@host/name`, `postgresql://…`, `sqlite:///file`."""

    prefix: Prefix | None = None


class Api(ConfigModel):
    """The API of a shop, with which lost webhooks are made up for."""

    url: Url | None = None
    key: Text | None = None
    key_file: Text | None = None
    secret: Text | None = None
    secret_file: Text | None = None


class Source(ConfigModel):
    """One shop: it sends events, or we read its database, or take its webhooks, by its `kind`."""

    name: Name
    kind: Text = "events"
    database: Database | None = None
    poll: Span = 15 * SECOND_MS
    api: Api | None = None
    currency: Currency | None = None
    api_key: Text | None = None
    api_key_file: Files | None = None
    secret: Text | None = None
    secret_file: Files | None = None
    heartbeat: Span | None = None
    timezone: Text | None = None
    created_means_paid: Flag = False
    allow_get: Flag = False
    tail: Tail | None = None
    max_events_per_s: Quota | None = None


class Failover(ConfigModel):
    """Automatic switching of delivery channels."""

    mode: Mode = "observe"
    webhook: PlainWebhook | None = None
    min_dwell: Span = 10 * MINUTE_MS
    max_per_hour: Count = 4
    valid_for: Span = 10 * MINUTE_MS


class Fallback(ConfigModel):
    """The executor that takes over stuck orders."""

    mode: Mode = "observe"
    after: Span = 5 * MINUTE_MS
    order: Annotated[list[Name], FEW] = []
    max_per_hour: Count = 5
    max_value_per_day_minor: Money = 50_000
    max_loss_minor: Money = 0
    claim_ttl: Span = 24 * HOUR_MS
    max_ambiguous: Count = 3
    manual_deadline: Span = 30 * MINUTE_MS
    four_eyes_above_minor: Money | None = None


class Shop(ConfigModel):
    """The shop's side of a takeover."""

    claim_url: Url
    deliver_url: Url
    release_url: Url | None = None
    notify_url: Url | None = None
    compensate_url: Url | None = None
    refund_url: Url | None = None
    secret: Text | None = None
    secret_file: Text | None = None


class Canary(ConfigModel):
    """Synthetic orders for shops with little traffic; `via` is an address of the shop."""

    sku: Name
    every: Annotated[Span, AfterValidator(_canary_span)] = MINUTE_MS
    via: Url
    secret: Text | None = None
    secret_file: Text | None = None


class Document(ConfigModel):
    """The whole file; every key is optional."""

    preset: Annotated[str, one_of("small-shop", "busy")] = "small-shop"
    language: Annotated[str, one_of(*LANGUAGES)] = "zh-CN"
    timezone: Text = "Asia/Shanghai"
    currency: Currency = "CNY"
    retention: Retention = Retention()
    listen: Listen = "127.0.0.1:8080"
    listen_fast: Listen | None = None
    listen_ingest: Listen | None = None
    listen_metrics: Listen | None = None
    connections: Connections = Connections()
    public_url: Url | None = None
    allowed_hosts: Annotated[list[HostName], FEW] = []
    data_dir: Text = "./data"
    disk_reserve_mib: Count = 32
    promise: Promise = Promise()
    tiers: Tiers = Tiers()
    sources: Annotated[list[Source], FEW] = []
    gateways: Annotated[list[Gateway], FEW] = []
    relays: Annotated[list[Relay], FEW] = []
    replay_window: Annotated[Span, AfterValidator(_replay_window)] = 5 * MINUTE_MS
    channels: Annotated[list[Channel], FEW] = []
    failover: Failover = Failover()
    fallback: Fallback = Fallback()
    shop: Shop | None = None
    canary: Canary | None = None
    playbooks: Text | None = None
    webhooks: Annotated[list[Webhook], FEW] = []
    notify: Notify = Notify()
    egress: Egress = Egress()
    telemetry: Telemetry = Telemetry()
