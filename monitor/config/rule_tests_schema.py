"""The shape of files of rule tests: what may be written, and what belongs together.

The format is described in docs/rule-tests.md; a test compares the page with these classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from monitor.config.fields import Duration, StrictModel
from monitor.model.alerts import AlertState
from monitor.model.events import EventType
from monitor.model.spelling import did_you_mean
from monitor.model.times import DAY_MS, SECOND_MS, parse_duration, parse_rfc3339

EVENTS_MAX = 100_000  # of one test
NEVER = -1  # `delay: never`, told from no delay at all
TIME_MAX_MS = 400 * DAY_MS
EVENT_TYPES = tuple(kind.value for kind in EventType)
VERDICTS = (
    "unpaid", "good", "late_delivered", "failed", "refunded", "cancelled", "late_pending",
    "undecided",
)  # fmt: skip
ENDS = tuple(
    kind.value
    for kind in (
        EventType.DELIVERED,
        EventType.FAILED,
        EventType.CANCELLED,
        EventType.REFUNDED,
        EventType.EXPIRED,
    )
)
GAUGES = ("wallet", "webhook", "stock")
ACTIONS = ("failover", "manual_review", "takeover")
WHOLE = (0, TIME_MAX_MS)  # `never: true`


def _start(value: object) -> datetime:
    try:
        moment = parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be a time with a zone such as 2026-01-05T10:00:00+08:00")
    return moment


def _delay(value: object) -> int:
    if value == "never":
        return NEVER
    delay_ms = _duration(value)
    if delay_ms is None:
        raise ValueError("must be a duration such as 8s or 3m, or never")
    return delay_ms


def _duration(value: object) -> int | None:
    if value == 0 and not isinstance(value, bool):
        return 0
    try:
        found_ms = parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if found_ms is None or found_ms > TIME_MAX_MS else found_ms


def _pair(value: object) -> tuple[int, int]:
    times = [_duration(one) for one in value] if isinstance(value, list) else []
    if len(times) != 2 or times[0] is None or times[1] is None or times[0] > times[1]:
        raise ValueError("must be two times, the earlier first, such as [5m, 12m]")
    return times[0], times[1]


def _pair_or_true(value: object) -> tuple[int, int]:
    if value is True:
        return WHOLE
    try:
        return _pair(value)
    except ValueError as error:
        raise ValueError("must be true or two times such as [5m, 12m]") from error


Span = Annotated[Duration, Field(ge=0, le=TIME_MAX_MS)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Pair = Annotated[tuple[int, int], BeforeValidator(_pair)]
PairOrTrue = Annotated[tuple[int, int], BeforeValidator(_pair_or_true)]
Delay = Annotated[int, BeforeValidator(_delay)]


def _known(words: Iterable[str]) -> BeforeValidator:
    known = tuple(words)

    def check(value: object) -> object:
        if isinstance(value, str) and value not in known:
            hint = did_you_mean(value, known) or f"known are {', '.join(known)}"
            raise ValueError(f"'{value[:80]}' is unknown; {hint}")
        return value

    return BeforeValidator(check)


_OF_ORDERS = (
    "orders", "times", "every", "order", "channel", "delay", "ends", "pay", "type", "meaning",
    "promise", "sku", "provider", "attempt", "lag",
)  # fmt: skip


class EventLine(StrictModel):
    """One entry of `events`: orders, one event, or something that happens to the service."""

    at: Span = 0
    orders: Annotated[int, Field(ge=1, le=EVENTS_MAX)] | None = None
    times: Annotated[int, Field(ge=1, le=EVENTS_MAX)] | None = None
    every: Annotated[Duration, Field(ge=1, le=TIME_MAX_MS)] | None = None
    order: Name | None = None
    channel: Name | None = None
    source: Name | None = None
    delay: Delay | None = None
    ends: Annotated[str, _known(ENDS)] | None = None
    pay: Delay | None = None
    type: Annotated[str, _known(EVENT_TYPES)] | None = None
    meaning: Literal["paid", "waiting", "expired", "refunded", "unknown"] | None = None
    promise: Span | None = None
    sku: Name | None = None
    provider: Name | None = None
    restart: Annotated[bool | str, _known(("kill",))] | None = None
    down: Annotated[Duration, Field(ge=1, le=TIME_MAX_MS)] | None = None
    outage: Literal["ingest"] | None = None
    for_ms: Annotated[Duration, Field(ge=1, le=TIME_MAX_MS)] | None = Field(
        default=None, alias="for"
    )
    lost: bool | None = None
    reload: Name | None = None
    attempt: Span | None = None
    lag: Span | None = None
    gauge: Annotated[str, _known(GAUGES)] | None = None
    name: Name | None = None
    value: Annotated[int, Field(ge=0, le=2**53)] | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        happened = [
            name
            for name in ("restart", "outage", "reload", "gauge")
            if getattr(self, name) is not None
        ]
        if len(happened) > 1:
            raise ValueError(f"'{happened[0]}' and '{happened[1]}' are two entries")
        kind = happened[0] if happened else None
        if kind is None:
            self._check_orders()
        else:
            self._check_happening(kind)
        needed = (
            ("for", self.for_ms, "outage"),
            ("lost", self.lost, "outage"),
            ("down", self.down, "restart"),
            ("name", self.name, "gauge"),
            ("value", self.value, "gauge"),
        )
        for name, value, of in needed:
            if value is not None and kind != of:
                raise ValueError(f"'{name}' goes with '{of}'")
        return self

    def _check_happening(self, kind: str) -> None:
        for name in _OF_ORDERS:
            if getattr(self, name) is not None:
                raise ValueError(f"'{name}' does not go with '{kind}'")
        if self.restart is False:
            raise ValueError("'restart' is true, or kill")
        if kind == "outage" and self.for_ms is None:
            raise ValueError("needs 'for', how long nothing arrives")
        if kind == "gauge" and (self.name is None or self.value is None):
            raise ValueError("needs 'name' and 'value', what was measured")
        if self.source is not None and kind != "outage":
            raise ValueError(f"'source' does not go with '{kind}'")

    def _check_orders(self) -> None:
        is_never_paid = self.pay == NEVER
        if is_never_paid and self.delay is not None:
            raise ValueError("with 'pay: never' nothing is delivered, leave out 'delay'")
        if not is_never_paid and (self.delay is None) == (self.type is None):
            raise ValueError("needs either 'delay' (8s, never) or the 'type' of one event")
        if self.type is not None and (self.pay is not None or self.ends is not None):
            raise ValueError("'pay' and 'ends' go with 'orders' or 'order', not with 'type'")
        if self.type is None and (self.orders is None) == (self.order is None):
            raise ValueError("needs either 'orders' (how many) or 'order' (one id)")
        if self.type is not None and self.orders is not None:
            raise ValueError("'orders' goes with 'delay'; an event is repeated with 'times'")
        if self.type not in (None, EventType.HEARTBEAT) and self.order is None:
            raise ValueError("needs 'order', the id this event is about")
        if max(self.orders or 1, self.times or 1) > 1 and self.every is None:
            raise ValueError("needs 'every', the time from one to the next")


class ExpectLine(StrictModel):
    """One entry of `expect`."""

    at: Span | None = None
    between: Pair | None = None
    never: PairOrTrue | None = None
    always: Pair | None = None
    alert: Name | None = None
    state: Annotated[str, _known(AlertState)] | None = None
    reason: Name | None = None
    labels: dict[Name, str] = Field(default={})
    firing: list[Name] | None = None
    order: Name | None = None
    verdict: Annotated[str, _known(VERDICTS)] | None = None
    tier: Literal["none", "L1", "L2", "L3"] | None = None
    level: Literal["none", "L1", "L2", "L3"] | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        times = [self.at, self.between, self.never, self.always]
        if sum(time is not None for time in times) != 1:
            raise ValueError("needs exactly one of 'at', 'between', 'never' and 'always'")
        kinds = [self.alert is not None, self.firing is not None, self.order is not None]
        if sum(kinds) != 1:
            raise ValueError("needs exactly one of 'alert', 'firing' and 'order'")
        if self.alert is not None and self.state is None and self.never is None:
            raise ValueError("needs 'state': inactive, pending or firing")
        if self.alert is None and (self.state or self.reason or self.labels):
            raise ValueError("'state', 'reason' and 'labels' go with 'alert'")
        if self.tier is not None and self.level is not None:
            raise ValueError("'level' is another word for 'tier'; keep one")
        about_order = (self.verdict, self.tier, self.level)
        if self.order is not None and about_order == (None, None, None):
            raise ValueError("needs 'verdict' or 'tier'")
        if self.order is None and about_order != (None, None, None):
            raise ValueError("'verdict' and 'tier' go with 'order'")
        return self


class NotificationLine(StrictModel):
    """One entry of `expect_notifications`."""

    count: Annotated[int, Field(ge=0)]
    alert: Name | None = None
    status: Literal["firing", "resolved", "info"] | None = None
    receiver: Name | None = None
    event: Name | None = None


class ActionLine(StrictModel):
    """One entry of `expect_actions`."""

    type: Annotated[str, _known(ACTIONS)]
    count: Annotated[int, Field(ge=0)]
    target: Name | None = None


class StoryEntry(StrictModel):
    """One entry of `tests`."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    events: list[EventLine]
    expect: list[ExpectLine] = Field(default=[])
    expect_notifications: list[NotificationLine] = Field(default=[])
    expect_actions: list[ActionLine] = Field(default=[])
    until: Span = 0


class SettingsEntry(StrictModel):
    """`settings`: what the stories of this file need of the configuration."""

    channels: Annotated[list[Name], Field(max_length=200)] | None = None
    failover: Literal["observe", "advise", "enforce"] | None = None
    fallback: Literal["observe", "advise", "enforce"] | None = None
    fallback_order: Annotated[list[Name], Field(max_length=200)] | None = None
    promise: Annotated[Duration, Field(ge=1, le=TIME_MAX_MS)] | None = None
    evaluate_every: Annotated[Duration, Field(ge=SECOND_MS, le=DAY_MS)] | None = None
    heartbeats: dict[Name, Annotated[Duration, Field(ge=1, le=TIME_MAX_MS)]] = Field(default={})


class StoriesFile(StrictModel):
    """A whole file."""

    rule_files: Annotated[list[Name], Field(max_length=100)] = Field(default=[])
    start: Annotated[datetime, BeforeValidator(_start)]
    settings: SettingsEntry = SettingsEntry()
    tests: Annotated[list[StoryEntry], Field(min_length=1, max_length=1_000)]
