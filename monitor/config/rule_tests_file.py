"""Reads files of rule tests; every problem at once, at its place.

rule_files: [../default.yaml]
start: 2026-01-05T10:00:00+08:00
tests:
  - name: one late order of ten stays quiet
    events:
      - {orders: 9, every: 60s, channel: auto, delay: 8s}    # paid, delivered 8 s later
      - {at: 9m, order: X1, channel: auto, delay: 50m}       # or `delay: never`
      - {at: 11m, order: X1, type: order.refunded}           # any event of the contract
    expect:
      - {at: 20m, alert: DelayedOver2Percent, state: inactive, reason: insufficient_evidence}
      - {at: 20m, order: X1, tier: L2, verdict: refunded}
      - {at: 20m, firing: []}                                # exactly these alerts
    expect_notifications:
      - {alert: DelayedOver2Percent, status: firing, count: 0}
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from monitor.config.fields import Duration, StrictModel
from monitor.config.problems import problems_from
from monitor.config.yaml_lines import Positions, YamlPath, read_with_positions
from monitor.model.alerts import AlertState
from monitor.model.errors import ConfigError, Problem
from monitor.model.events import EventType
from monitor.model.rule_tests import (
    Expectation,
    ExpectedCount,
    OrderLine,
    RuleTest,
    RuleTestFile,
)
from monitor.model.rules import RuleSet
from monitor.model.spelling import did_you_mean
from monitor.model.times import (
    DAY_MS,
    MINUTE_MS,
    from_datetime,
    parse_duration,
    parse_rfc3339,
)

EVENTS_MAX = 100_000  # of one test
_NEVER = -1  # `delay: never`, told from no delay at all
TIME_MAX_MS = 400 * DAY_MS
EVENT_TYPES = tuple(kind.value for kind in EventType)
VERDICTS = (
    "unpaid", "good", "late_delivered", "failed", "refunded", "cancelled", "late_pending",
    "undecided",
)  # fmt: skip


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
        return _NEVER
    try:
        delay_ms = parse_duration(value) if isinstance(value, str) else None
    except ValueError:
        delay_ms = None
    if delay_ms is None or delay_ms > TIME_MAX_MS:
        raise ValueError("must be a duration such as 8s or 3m, or never")
    return delay_ms


Span = Annotated[Duration, Field(ge=0, le=TIME_MAX_MS)]
Name = Annotated[str, Field(min_length=1, max_length=128)]


def _known(words: Iterable[str]) -> BeforeValidator:
    known = tuple(words)

    def check(value: object) -> object:
        if isinstance(value, str) and value not in known:
            hint = did_you_mean(value, known) or f"known are {', '.join(known)}"
            raise ValueError(f"'{value[:80]}' is unknown; {hint}")
        return value

    return BeforeValidator(check)


class _OrderLine(StrictModel):
    at: Span = 0
    orders: Annotated[int, Field(ge=1, le=EVENTS_MAX)] | None = None
    times: Annotated[int, Field(ge=1, le=EVENTS_MAX)] | None = None
    every: Annotated[Duration, Field(ge=1, le=TIME_MAX_MS)] | None = None
    order: Name | None = None
    channel: Name | None = None
    source: Name = "shop"
    delay: Annotated[int, BeforeValidator(_delay)] | None = None
    type: Annotated[str, _known(EVENT_TYPES)] | None = None
    meaning: Literal["paid", "waiting", "expired", "refunded", "unknown"] | None = None
    promise: Span | None = None
    sku: Name | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if (self.delay is None) == (self.type is None):
            raise ValueError("needs either 'delay' (8s, never) or the 'type' of one event")
        if self.type is None and (self.orders is None) == (self.order is None):
            raise ValueError("needs either 'orders' (how many) or 'order' (one id)")
        if self.type is not None and self.orders is not None:
            raise ValueError("'orders' goes with 'delay'; an event is repeated with 'times'")
        if self.type not in (None, EventType.HEARTBEAT) and self.order is None:
            raise ValueError("needs 'order', the id this event is about")
        if max(self.orders or 1, self.times or 1) > 1 and self.every is None:
            raise ValueError("needs 'every', the time from one to the next")
        return self


class _Expectation(StrictModel):
    at: Span
    alert: Name | None = None
    state: Annotated[str, _known(AlertState)] | None = None
    reason: Name | None = None
    labels: dict[Name, str] = Field(default={})
    firing: list[Name] | None = None
    order: Name | None = None
    verdict: Annotated[str, _known(VERDICTS)] | None = None
    tier: Literal["none", "L1", "L2", "L3"] | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        kinds = [self.alert is not None, self.firing is not None, self.order is not None]
        if sum(kinds) != 1:
            raise ValueError("needs exactly one of 'alert', 'firing' and 'order'")
        if self.alert is not None and self.state is None:
            raise ValueError("needs 'state': inactive, pending or firing")
        if self.order is not None and self.verdict is None and self.tier is None:
            raise ValueError("needs 'verdict' or 'tier'")
        return self


class _Notifications(StrictModel):
    count: Annotated[int, Field(ge=0)]
    alert: Name | None = None
    status: Literal["firing", "resolved"] | None = None


class _Test(StrictModel):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    events: list[_OrderLine]
    expect: list[_Expectation] = Field(default=[])
    expect_notifications: list[_Notifications] = Field(default=[])
    until: Span = 0


class _File(StrictModel):
    rule_files: Annotated[list[Name], Field(max_length=100)] = Field(default=[])
    start: Annotated[datetime, BeforeValidator(_start)]
    tests: Annotated[list[_Test], Field(min_length=1, max_length=1_000)]


def load_rule_tests(path: Path, rules: RuleSet | None = None) -> RuleTestFile:
    """Read one file; with `rules`, alerts nobody has written are problems too.

    Raises: ConfigError with every problem of the file.
    """
    value, positions = read_with_positions(path)
    try:
        file = _File.model_validate(value)
    except ValidationError as error:
        raise ConfigError(problems_from(error, positions, str(path), _File)) from error
    problems = [*_too_many(file, positions, path), *_unknown_alerts(file, rules, positions, path)]
    if problems:
        raise ConfigError(sorted(problems, key=lambda found: (found.line, found.column)))
    return RuleTestFile(
        path=str(path),
        rule_files=tuple(file.rule_files),
        start_ms=from_datetime(file.start),
        tests=tuple(
            _test(test, positions, ("tests", number)) for number, test in enumerate(file.tests)
        ),
    )


def _too_many(file: _File, positions: Positions, path: Path) -> Iterable[Problem]:
    for number, test in enumerate(file.tests):
        count = sum(2 * (line.orders or 1) + (line.times or 0) for line in test.events)
        if count > EVENTS_MAX:
            place = positions.at(("tests", number, "events"))
            yield Problem(str(path), *place, f"more than {EVENTS_MAX} events in one test")


def _unknown_alerts(
    file: _File, rules: RuleSet | None, positions: Positions, path: Path
) -> Iterable[Problem]:
    if rules is None:
        return
    known = [rule.alert for rule in rules.rules]
    for name, at in _named_alerts(file):
        if name not in known:
            hint = did_you_mean(name, known)
            place = positions.at(at)
            yield Problem(str(path), *place, f"no rule is called '{name[:80]}'", hint)


def _named_alerts(file: _File) -> Iterable[tuple[str, YamlPath]]:
    for number, test in enumerate(file.tests):
        for e, expected in enumerate(test.expect):
            at: YamlPath = ("tests", number, "expect", e)
            if expected.alert is not None:
                yield expected.alert, (*at, "alert")
            for f, name in enumerate(expected.firing or ()):
                yield name, (*at, "firing", f)
        for n, counted in enumerate(test.expect_notifications):
            if counted.alert is not None:
                yield counted.alert, ("tests", number, "expect_notifications", n, "alert")


def _test(test: _Test, positions: Positions, at: YamlPath) -> RuleTest:
    lines = tuple(_line(line) for line in test.events)
    expectations = tuple(
        _expectation(expected, positions.at((*at, "expect", number)))
        for number, expected in enumerate(test.expect)
    )
    ends = [line.at_ms + (line.count - 1) * line.every_ms for line in lines]
    latest_ms = max([test.until, *ends, *(expected.at_ms for expected in expectations)])
    return RuleTest(
        name=test.name,
        events=lines,
        expectations=expectations,
        notifications=tuple(
            ExpectedCount(
                one.count,
                *positions.at((*at, "expect_notifications", number)),
                alert=one.alert,
                status=one.status,
            )
            for number, one in enumerate(test.expect_notifications)
        ),
        until_ms=latest_ms,
    )


def _line(line: _OrderLine) -> OrderLine:
    return OrderLine(
        at_ms=line.at,
        count=line.orders or line.times or 1,
        every_ms=line.every or MINUTE_MS,
        source=line.source,
        channel=line.channel,
        order_id=line.order,
        delay_ms=None if line.delay == _NEVER else line.delay,
        type=line.type,
        meaning=line.meaning,
        promise_ms=line.promise,
        sku=line.sku,
    )


def _expectation(expected: _Expectation, place: tuple[int, int]) -> Expectation:
    tiers = {"none": 0, "L1": 1, "L2": 2, "L3": 3}
    return Expectation(
        at_ms=expected.at,
        line=place[0],
        column=place[1],
        alert=expected.alert,
        state=expected.state,
        reason=expected.reason,
        labels=tuple(sorted(expected.labels.items())),
        firing=None if expected.firing is None else tuple(sorted(expected.firing)),
        order_id=expected.order,
        verdict=expected.verdict,
        tier=None if expected.tier is None else tiers[expected.tier],
    )
