"""Everything the pure core may know of the configuration: no secret, no address, no file name.

`monitor/config` reads `monitor.yaml` into this; adapters get their secrets and URLs separately
(`monitor/model/endpoints.py`). Every field has the default of contract §5.
"""

from __future__ import annotations

import msgspec

from monitor.model.playbooks import Playbooks
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS


class PromiseTable(msgspec.Struct, frozen=True):
    """The time within which an order should be delivered; the most specific entry wins.

    An event's own `promise_s` beats `by_sku`, which beats `by_fulfilment`, then `by_speed`.
    """

    default_ms: int = 3 * MINUTE_MS
    by_speed: dict[str, int] = msgspec.field(
        default_factory=lambda: {"express": 60 * SECOND_MS, "economy": 30 * MINUTE_MS}
    )
    by_sku: dict[str, int] = {}
    by_fulfilment: dict[str, int] = msgspec.field(default_factory=lambda: {"manual": 2 * HOUR_MS})


class Tiers(msgspec.Struct, frozen=True):
    """Ages at which a late order enters L1, L2, L3; L2 and L3 stretch with long promises."""

    l1_after_ms: int | None = None  # None: at the order's promise
    l2_after_ms: int = 5 * MINUTE_MS
    l3_after_ms: int = 30 * MINUTE_MS


class SourceSettings(msgspec.Struct, frozen=True):
    """One shop that emits events."""

    name: str
    heartbeat_ms: int | None = None
    timezone: str | None = None
    created_means_paid: bool = False


class ChannelSettings(msgspec.Struct, frozen=True):
    """One way to deliver. `kind`: external, http, stock, manual, shop_retry or sim."""

    name: str
    kind: str = "external"
    capability: str = "opaque"  # idempotent, queryable, detectable, opaque
    settle_ms: int = 10 * MINUTE_MS
    max_cost_minor: int | None = None
    is_cost_guarded: bool = False  # the submit hands max_cost_minor to the supplier
    shared_skus: tuple[str, ...] = ()  # of a stock: goods whose keys may be given to many orders
    is_followed: bool = False  # an accepted order can be asked about by the supplier's own number


class FailoverSettings(msgspec.Struct, frozen=True):
    """Automatic switching of delivery channels; off (`observe`) until armed."""

    mode: str = "observe"  # observe, advise, enforce
    min_dwell_ms: int = 10 * MINUTE_MS
    max_per_hour: int = 4
    valid_for_ms: int = 10 * MINUTE_MS
    has_webhook: bool = False


class FallbackSettings(msgspec.Struct, frozen=True):
    """The fallback executor: takes over stuck orders, inside limits, only with `enforce`."""

    mode: str = "observe"
    after_ms: int = 5 * MINUTE_MS
    order: tuple[str, ...] = ()
    max_per_hour: int = 5
    max_value_per_day_minor: int = 50_000
    max_loss_minor: int = 0
    has_shop: bool = False
    claim_ttl_ms: int = 24 * HOUR_MS
    manual_deadline_ms: int | None = 30 * MINUTE_MS  # then people are told again
    four_eyes_above_minor: int | None = None  # two people must say that such an order is delivered
    max_ambiguous: int = 3  # attempts an opaque channel may leave open, until a person knows


class WebhookSettings(msgspec.Struct, frozen=True):
    """One endpoint of `webhooks:`; `types` are exact names or `takeover.*` globs."""

    name: str
    types: tuple[str, ...] = ()


class ReceiverSettings(msgspec.Struct, frozen=True):
    """A named receiver and its integrations, e.g. `("dingtalk/1f2e3d4c", "webhook/5b6a7988")`."""

    name: str
    integrations: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True):
    """The configuration as the core sees it."""

    language: str = "zh-CN"
    timezone: str = "Asia/Shanghai"
    # (from_ms, offset_ms), sorted: where local time is ahead of UTC by how much; the core has no
    # time zone database. Nothing known means UTC.
    utc_offsets: tuple[tuple[int, int], ...] = ()
    currency: str = "CNY"
    promise: PromiseTable = PromiseTable()
    tiers: Tiers = Tiers()
    sources: tuple[SourceSettings, ...] = ()
    listeners: tuple[SourceSettings, ...] = ()  # of payment gateways: they only have heartbeats
    channels: tuple[ChannelSettings, ...] = ()
    failover: FailoverSettings = FailoverSettings()
    fallback: FallbackSettings = FallbackSettings()
    shop_takes: tuple[str, ...] = ()  # of notify, compensate, refund: where the shop has a URL
    playbooks: Playbooks = Playbooks()
    webhooks: tuple[WebhookSettings, ...] = ()
    receivers: tuple[ReceiverSettings, ...] = ()
    default_receiver: str | None = None
    event_retention_ms: int = 30 * DAY_MS
    order_retention_ms: int = 400 * DAY_MS
    signal_window_ms: int = 6 * HOUR_MS  # how long a judged order stays in memory
    backlog_hold_ms: int = (
        60 * SECOND_MS
    )  # contract §2: an order first seen overdue acts after this
    slow_floor_ms: int = 30 * SECOND_MS
    slow_unlearned_ms: int = 60 * SECOND_MS
    breaker_every_ms: int = 5 * SECOND_MS
    health_anchors: tuple[tuple[int, float], tuple[int, float], tuple[int, float]] = (
        (MINUTE_MS, 0.0),
        (5 * MINUTE_MS, 0.5),
        (30 * MINUTE_MS, 1.0),
    )
    evaluation_gap_ms: int = SECOND_MS  # after a change rules are looked at no sooner than this
    evaluation_floor_ms: int = 0  # replay of years evaluates rules no more often than this
    public_url: str = "http://127.0.0.1:8080"

    @property
    def heard(self) -> tuple[SourceSettings, ...]:
        """All that is expected to be heard of: shops, and listeners."""
        return (*self.sources, *self.listeners)
