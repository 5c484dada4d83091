"""Reads files of rule tests; every problem at once, at its place. Format: docs/rule-tests.md.

rule_files: [../default.yaml]
start: 2026-01-05T10:00:00+08:00
tests:
  - name: one late order of ten stays quiet
    events:
      - {orders: 9, every: 60s, channel: auto, delay: 8s}    # paid, delivered 8 s later
      - {at: 9m, order: X1, channel: auto, delay: 50m}       # or `delay: never`
      - {at: 11m, order: X1, type: order.refunded}           # any event of the contract
      - {at: 12m, outage: ingest, for: 30m}                  # arrives late; `lost: true`: never
      - {at: 50m, restart: true}                             # or `restart: kill`; `down: 6m`
      - {at: 1h, reload: night.yaml}                         # other rules
    expect:
      - {at: 20m, alert: DelayedOver2Percent, state: inactive, reason: insufficient_evidence}
      - {between: [5m, 12m], order: X1, tier: L1}            # becomes true inside
      - {never: true, alert: MeanOver3Minutes}               # or `never: [5m, 12m]`; also `always`
      - {at: 20m, firing: []}                                # exactly these alerts
    expect_notifications:
      - {alert: DelayedOver2Percent, status: firing, count: 0}
    expect_actions:
      - {type: manual_review, count: 0}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from monitor.config.problems import problems_from
from monitor.config.rule_tests_schema import (
    EVENTS_MAX,
    NEVER,
    WHOLE,
    EventLine,
    ExpectLine,
    SettingsEntry,
    StoriesFile,
    StoryEntry,
)
from monitor.config.rules_file import load_rules
from monitor.config.yaml_lines import Positions, YamlPath, read_with_positions
from monitor.model.alerts import AlertState
from monitor.model.errors import ConfigError, Problem
from monitor.model.events import EventType
from monitor.model.rule_tests import (
    Expectation,
    ExpectedAction,
    ExpectedCount,
    Interruption,
    Measure,
    OrderLine,
    Outage,
    Reload,
    Restart,
    RuleTest,
    RuleTestFile,
    StorySettings,
)
from monitor.model.rules import RuleSet
from monitor.model.spelling import did_you_mean
from monitor.model.times import MINUTE_MS, from_datetime

_TIERS = {"none": 0, "L1": 1, "L2": 2, "L3": 3}


def load_rule_tests(path: Path, rules: RuleSet | None = None) -> RuleTestFile:
    """Read one file; with `rules`, alerts nobody has written are problems too.

    Raises: ConfigError with every problem of the file.
    """
    value, positions = read_with_positions(path)
    try:
        file = StoriesFile.model_validate(value)
    except ValidationError as error:
        raise ConfigError(problems_from(error, positions, str(path), StoriesFile)) from error
    reader = _Reader(path, positions)
    tests = tuple(reader.test(test, ("tests", number)) for number, test in enumerate(file.tests))
    reader.check_counts(file)
    if rules is not None:
        reader.check_alerts(file, rules)
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda found: (found.line, found.column)))
    return RuleTestFile(
        path=str(path),
        rule_files=tuple(file.rule_files),
        start_ms=from_datetime(file.start),
        tests=tests,
        settings=_settings(file.settings),
    )


class _Reader:
    """What needs the whole file: places, rules that are reloaded, names. Collects problems."""

    def __init__(self, path: Path, positions: Positions) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._positions = positions
        self._reloaded: dict[str, RuleSet] = {}

    def test(self, test: StoryEntry, at: YamlPath) -> RuleTest:
        """One story as data."""
        orders = tuple(_orders(line) for line in test.events if not _is_happening(line))
        outages = tuple(_outage(line) for line in test.events if line.outage)
        measures = tuple(_measure(line) for line in test.events if line.gauge)
        happenings = tuple(self._interruptions(test.events, (*at, "events")))
        until_ms = max(
            [
                test.until,
                *_ends(test, orders, outages, happenings),
                *(one.at_ms for one in measures),
            ]
        )
        return RuleTest(
            name=test.name,
            events=orders,
            expectations=tuple(
                _expectation(line, self._positions.at((*at, "expect", number)), until_ms)
                for number, line in enumerate(test.expect)
            ),
            notifications=tuple(
                ExpectedCount(
                    line.count,
                    *self._positions.at((*at, "expect_notifications", number)),
                    alert=line.alert,
                    status=line.status,
                    receiver=line.receiver,
                    event=line.event or "alert.*",
                )
                for number, line in enumerate(test.expect_notifications)
            ),
            until_ms=until_ms,
            actions=tuple(
                ExpectedAction(
                    line.type,
                    line.count,
                    *self._positions.at((*at, "expect_actions", number)),
                    target=line.target,
                )
                for number, line in enumerate(test.expect_actions)
            ),
            outages=outages,
            measures=measures,
            interruptions=happenings,
        )

    def check_counts(self, file: StoriesFile) -> None:
        """More events than a test may have would only be noticed by their slowness."""
        for number, test in enumerate(file.tests):
            count = sum(3 * (line.orders or 1) + (line.times or 0) for line in test.events)
            if count > EVENTS_MAX:
                at: YamlPath = ("tests", number, "events")
                self._report(at, f"more than {EVENTS_MAX} events in one test")

    def check_alerts(self, file: StoriesFile, rules: RuleSet) -> None:
        """A misspelt alert would be inactive for ever."""
        reloaded = [rule.alert for one in self._reloaded.values() for rule in one.rules]
        known = [*(rule.alert for rule in rules.rules), *reloaded]
        for name, at in _named_alerts(file):
            if name not in known:
                self._report(at, f"no rule is called '{name[:80]}'", did_you_mean(name, known))

    def _interruptions(self, lines: Sequence[EventLine], at: YamlPath) -> Iterable[Interruption]:
        downtimes = [(one.at, one.at + one.down) for one in lines if one.down is not None]
        for number, line in enumerate(lines):
            if line.restart:
                if any(from_ms < line.at <= to_ms for from_ms, to_ms in downtimes):
                    self._report((*at, number), "restarts what is down at this time")
                yield Restart(line.at, is_killed=line.restart == "kill", down_ms=line.down or 0)
            elif line.reload is not None:
                rules = self._reload(line.reload, (*at, number, "reload"))
                yield Reload(line.at, rules)

    def _reload(self, name: str, at: YamlPath) -> RuleSet:
        if name not in self._reloaded:
            self._reloaded[name] = RuleSet()
            try:
                self._reloaded[name] = load_rules([self._path.parent / name])
            except ConfigError as error:
                self._report(at, f"cannot be loaded: {error.problems[0]}")
        return self._reloaded[name]

    def _report(self, at: YamlPath, message: str, hint: str = "") -> None:
        self.problems.append(Problem(str(self._path), *self._positions.at(at), message, hint))


def _ends(
    test: StoryEntry,
    orders: Sequence[OrderLine],
    outages: Sequence[Outage],
    interruptions: Sequence[Interruption],
) -> Iterable[int]:
    """Times up to which a story goes on at least."""
    yield from (line.at_ms + (line.count - 1) * line.every_ms for line in orders)
    yield from (outage.at_ms + outage.for_ms for outage in outages)
    yield from (one.back_ms if isinstance(one, Restart) else one.at_ms for one in interruptions)
    for line in test.expect:
        _, span = _when(line)
        yield 0 if span == WHOLE else span[1]


def _named_alerts(file: StoriesFile) -> Iterable[tuple[str, YamlPath]]:
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


def _is_happening(line: EventLine) -> bool:
    return bool(line.restart or line.outage or line.gauge or line.reload is not None)


def _measure(line: EventLine) -> Measure:
    assert line.gauge is not None  # the schema asks for all three
    assert line.name is not None
    assert line.value is not None
    return Measure(line.at, line.gauge, line.name, line.value)


def _outage(line: EventLine) -> Outage:
    assert line.for_ms is not None  # the schema asks for it
    return Outage(line.at, line.for_ms, is_lost=bool(line.lost), source=line.source)


def _orders(line: EventLine) -> OrderLine:
    return OrderLine(
        at_ms=line.at,
        count=line.orders or line.times or 1,
        every_ms=line.every or MINUTE_MS,
        source=line.source or "shop",
        channel=line.channel,
        order_id=line.order,
        delay_ms=None if line.delay == NEVER else line.delay,
        end=line.ends or EventType.DELIVERED.value,
        is_created_first=line.pay is not None,
        pay_ms=None if line.pay == NEVER else line.pay or 0,
        type=line.type,
        meaning=line.meaning,
        promise_ms=line.promise,
        sku=line.sku,
        provider=line.provider,
        attempt_ms=line.attempt,
        lag_ms=line.lag or 0,
    )


def _expectation(line: ExpectLine, place: tuple[int, int], until_ms: int) -> Expectation:
    when, (from_ms, to_ms) = _when(line)
    tier = line.tier or line.level
    state = line.state
    if line.alert is not None and state is None:
        state = AlertState.FIRING.value  # `never` without a state: never fires
    return Expectation(
        when=when,
        from_ms=from_ms,
        to_ms=min(to_ms, until_ms),
        line=place[0],
        column=place[1],
        alert=line.alert,
        state=state,
        reason=line.reason,
        labels=tuple(sorted(line.labels.items())),
        firing=None if line.firing is None else tuple(sorted(line.firing)),
        order_id=line.order,
        verdict=line.verdict,
        tier=None if tier is None else _TIERS[tier],
    )


def _when(line: ExpectLine) -> tuple[str, tuple[int, int]]:
    for name, span in (("between", line.between), ("never", line.never), ("always", line.always)):
        if span is not None:
            return name, span
    assert line.at is not None  # the schema asks for one of the four
    return "at", (line.at, line.at)


def _settings(entry: SettingsEntry) -> StorySettings:
    return StorySettings(
        channels=None if entry.channels is None else tuple(entry.channels),
        failover=entry.failover,
        fallback=entry.fallback,
        fallback_order=None if entry.fallback_order is None else tuple(entry.fallback_order),
        promise_ms=entry.promise,
        evaluate_every_ms=entry.evaluate_every,
        heartbeats=tuple(sorted(entry.heartbeats.items())),
    )
