"""Runs rule tests: a story goes through the real engine in virtual time, expectations are checked.

Time moves from one moment of interest to the next; in between the engine gets a tick whenever it
asked for one, so `for`, windows and silence behave as in the service. Expectations are about states
at times: whenever the engine looked last, its state stands until it moves.

A test that fails is run once more with all its expectations watched from beginning to end, to say
when each would have held; a test that passes pays nothing for that.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from monitor.core.engine import Engine
from monitor.model.errors import Problem
from monitor.model.rule_tests import (
    Expectation,
    ExpectedAction,
    ExpectedCount,
    Reload,
    Restart,
    RuleTest,
    RuleTestFile,
    StorySettings,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import (
    ChannelSettings,
    PromiseTable,
    ReceiverSettings,
    Settings,
    SourceSettings,
)
from monitor.model.times import format_duration
from monitor.testing.expectations import Watch, found, is_met, wanted
from monitor.testing.stand import Stand
from monitor.testing.story_events import arrivals

# Without receivers in the configuration one stands for all of them.
STAND_IN = ReceiverSettings("rule-test", ("webhook/0",))


class RuleTestResult(msgspec.Struct, frozen=True):
    """One test: passed, or what was expected and found, each at its place in the file."""

    name: str
    passed: bool
    messages: tuple[Problem, ...] = ()


def run_rule_tests(
    file: RuleTestFile, rules: RuleSet, settings: Settings
) -> tuple[RuleTestResult, ...]:
    """Run every test of a file on a fresh engine with these rules and settings."""
    adapted = _adapted(settings, file.settings)
    results = []
    for test in file.tests:
        story = _Story(test, file, rules, adapted)
        problems = story.run()
        if story.missed:
            problems += story.tell_again()
        problems.sort(key=lambda one: (one.line, one.column))
        results.append(RuleTestResult(test.name, not problems, tuple(problems)))
    return tuple(results)


class _Story:
    """One test on its way; `missed` are expectations at one time that did not hold, and why."""

    def __init__(
        self, test: RuleTest, file: RuleTestFile, rules: RuleSet, settings: Settings
    ) -> None:
        self.missed: list[tuple[Expectation, str]] = []
        self._test = test
        self._file = file
        self._rules = rules
        self._settings = settings
        self._arrivals = arrivals(test, file.start_ms)

    def run(self) -> list[Problem]:
        """Tell the story and check it; what failed `at` a time is left in `missed`."""
        spans = [one for one in self._test.expectations if one.when != "at"]
        watches = [Watch(one, self._file.start_ms) for one in spans]
        stand = self._tell(watches, is_checking=True)
        problems = [
            self._problem(watch.expected, text) for watch in watches if (text := _broken(watch))
        ]
        named = {one.name for one in self._settings.receivers} - {STAND_IN.name}
        problems += [
            self._problem(counted, text)
            for counted in self._test.notifications
            if (text := _miscount(counted, stand, named))
        ]
        problems += [
            self._problem(action, text)
            for action in self._test.actions
            if (text := _misacted(action, stand))
        ]
        return problems

    def tell_again(self) -> list[Problem]:
        """Tell the same story once more to see when what failed would have held."""
        watches = [Watch(expected, self._file.start_ms) for expected, _ in self.missed]
        self._tell(watches, is_checking=False)
        return [
            self._problem(
                expected,
                f"at {format_duration(expected.from_ms)}: {message}; {watch.nearest()}",
            )
            for (expected, message), watch in zip(self.missed, watches, strict=True)
        ]

    def _tell(self, watches: Sequence[Watch], *, is_checking: bool) -> Stand:
        test, start_ms = self._test, self._file.start_ms
        is_killed = any(isinstance(one, Restart) and one.is_killed for one in test.interruptions)
        stand = Stand(self._settings, self._rules, keeps_log=is_killed)
        if watches:
            stand.watcher = lambda engine, now_ms: _note_all(watches, engine, now_ms)
        returns = _returns(test)
        for now_ms in self._moments():
            if now_ms - start_ms in returns:
                stand.start(now_ms)
            stand.go_to(now_ms, self._arrivals.get(now_ms, ()))
            for one in test.interruptions:
                if start_ms + one.at_ms == now_ms:
                    _interrupt(stand, one, now_ms)
            if is_checking:
                self._check(stand, now_ms)
        return stand

    def _moments(self) -> list[int]:
        """Every time at which something arrives, happens or is looked at, up to the end."""
        test, start_ms = self._test, self._file.start_ms
        looked_at = {time for one in test.expectations for time in (one.from_ms, one.to_ms)}
        happening = {*(one.at_ms for one in test.interruptions), *_returns(test)}
        offsets = {start_ms + time for time in (*looked_at, *happening, test.until_ms)}
        end_ms = start_ms + test.until_ms
        return sorted(time for time in {*self._arrivals, *offsets} if time <= end_ms)

    def _check(self, stand: Stand, now_ms: int) -> None:
        at_ms = now_ms - self._file.start_ms
        for expected in self._test.expectations:
            if expected.when != "at" or expected.from_ms != at_ms:
                continue
            if not is_met(stand.engine, expected, now_ms):
                there = found(stand.engine, expected, now_ms)
                self.missed.append((expected, f"expected {wanted(expected)}, found {there}"))

    def _problem(
        self, expected: Expectation | ExpectedCount | ExpectedAction, message: str
    ) -> Problem:
        return Problem(self._file.path, expected.line, expected.column, message)


def _note_all(watches: Iterable[Watch], engine: Engine, now_ms: int) -> None:
    for watch in watches:
        watch.note(engine, now_ms)


def _returns(test: RuleTest) -> set[int]:
    """When the service starts again after a downtime."""
    restarts = (one for one in test.interruptions if isinstance(one, Restart))
    return {one.back_ms for one in restarts if one.down_ms}


def _interrupt(stand: Stand, one: Restart | Reload, now_ms: int) -> None:
    match one:
        case Reload(_, rules):
            stand.reload(rules, now_ms)
        case Restart():
            if one.is_killed:
                stand.kill()
            else:
                stand.stop(now_ms)
            if not one.down_ms:
                stand.start(now_ms)


def _broken(watch: Watch) -> str | None:
    """What is wrong with an expectation about a span of time."""
    expected = watch.expected
    span = f"{format_duration(expected.from_ms)} and {format_duration(expected.to_ms)}"
    if expected.when == "between":
        if watch.begins_inside():
            return None
        there = f"; found {watch.first_not[1]}" if watch.first_not else ""
        return f"between {span}: expected to become {wanted(expected)}; {watch.nearest()}{there}"
    if expected.when == "never" and watch.first_held is not None:
        at_ms, there = watch.first_held
        return f"at {format_duration(at_ms)}: expected never {wanted(expected)}, found {there}"
    if expected.when == "always" and watch.first_not is not None:
        at_ms, there = watch.first_not
        return (
            f"at {format_duration(at_ms)}: expected {wanted(expected)} "
            f"always between {span}, found {there}"
        )
    return None


def _miscount(counted: ExpectedCount, stand: Stand, receivers: set[str]) -> str | None:
    """How many messages were sent instead; None if as many as expected.

    `receivers` are those of the configuration; without any, a name is not compared.
    """
    if receivers and counted.receiver is not None and counted.receiver not in receivers:
        known = ", ".join(sorted(receivers))
        return f"no receiver is called '{counted.receiver}'; configured are {known}"
    kinds = Counter(
        (sent.rule or sent.event, sent.status)
        for sent in stand.ledger.sent
        if fnmatch.fnmatchcase(sent.event, counted.event)
        and (not receivers or counted.receiver in (None, sent.receiver))
    )
    sent = sum(
        count
        for (alert, status), count in kinds.items()
        if counted.alert in (None, alert) and counted.status in (None, status)
    )
    if sent == counted.count:
        return None
    words = (counted.alert, counted.status, counted.receiver and f"to {counted.receiver}")
    what = " ".join(word for word in words if word) or "any"
    all_sent = ", ".join(f"{kinds[key]}x {key[0]} {key[1]}" for key in sorted(kinds))
    return f"expected {counted.count} messages ({what}), sent {sent}; all: {all_sent or 'none'}"


def _misacted(expected: ExpectedAction, stand: Stand) -> str | None:
    """Which actions were carried out instead; None if as many as expected."""
    done = [one for one in stand.ledger.acted if not one.is_advice]
    count = sum(one.type == expected.type and expected.target in (None, one.target) for one in done)
    if count == expected.count:
        return None
    what = f"{expected.type} of {expected.target}" if expected.target else expected.type
    tally = Counter(f"{one.type} of {one.target}" for one in done)
    tally.update(f"{one.type} of {one.target} (only advised)"
                 for one in stand.ledger.acted if one.is_advice)  # fmt: skip
    every = ", ".join(f"{tally[name]}x {name}" for name in sorted(tally))
    return (
        f"expected {expected.count} actions ({what}), carried out {count}; all: {every or 'none'}"
    )


# --- settings ---------------------------------------------------------------------------------------


def _adapted(settings: Settings, story: StorySettings) -> Settings:
    """The settings the stories of a file run with; nothing of what they ask for leaves anyway."""
    change = msgspec.structs.replace
    if not settings.receivers or settings.default_receiver is None:
        settings = change(settings, receivers=(STAND_IN,), default_receiver=STAND_IN.name)
    settings = change(settings, webhooks=())
    if story.channels is not None:
        channels = tuple(ChannelSettings(name) for name in story.channels)
        settings = change(settings, channels=channels)
    if story.failover is not None:
        failover = change(settings.failover, mode=story.failover, has_webhook=True)
        settings = change(settings, failover=failover)
    if story.fallback is not None:
        fallback = change(
            settings.fallback, mode=story.fallback, has_shop=True, order=story.fallback_order or ()
        )
        settings = change(settings, fallback=fallback)
    if story.promise_ms is not None:
        settings = change(settings, promise=PromiseTable(default_ms=story.promise_ms))
    if story.evaluate_every_ms is not None:
        settings = change(settings, evaluation_floor_ms=story.evaluate_every_ms)
    known = {source.name: source for source in settings.sources}
    for name, every_ms in story.heartbeats:
        known[name] = change(known.get(name, SourceSettings(name)), heartbeat_ms=every_ms)
    return change(settings, sources=tuple(known.values()))
