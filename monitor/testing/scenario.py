"""A story about orders, told as a transcript: what happens when, and what the engine answers.

    Scenario().at("0s", paid("o1")).at("5m", tick()).expect("breach o1 on external", "tier o1 L1")

Time goes on by the engine's own wish: between two lines of the story it gets a tick whenever it
asked for one, exactly as the service would do it. An expectation is a line of the transcript or the
decision or effect itself; what the engine said since the last expectation must match as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import ndiff
from functools import partial

import msgspec

from monitor.core.engine import Engine
from monitor.model.batches import BatchMoved
from monitor.model.commands import (
    Accepted,
    Batch,
    Cancel,
    Command,
    Decide,
    Perform,
    Rewind,
    Tick,
    WakeAt,
)
from monitor.model.effects import CallWebhook, Effect, Notify, Submit, SwitchChannel
from monitor.model.events import EventType, OrderEvent
from monitor.model.faults import ShopFault
from monitor.model.records import (
    ActionsMoved,
    AlertMoved,
    BaselineLearned,
    Breached,
    CaseMoved,
    CrowdMoved,
    Decision,
    Entry,
    SourceMoved,
    SwitchDecided,
    TierReached,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.times import format_duration, parse_duration

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
WAKES_MAX = 200_000  # between two lines of a story; more means the engine never rests

Expected = str | Decision | Effect


class Happening(msgspec.Struct, frozen=True):
    """An event of a story; `time` is when the shop says it happened (`"2m"`), else its line's time.

    `fields` are attributes of the `OrderEvent`. Two happenings with the same type, order and time
    are the same event unless `event_id` tells them apart.
    """

    type: str
    order_id: str
    time: str | None
    fields: dict[str, object]

    def event(self, now_ms: int) -> OrderEvent:
        """The event as it arrives now."""
        time_ms = now_ms if self.time is None else START_MS + _duration_ms(self.time)
        known = {"source": "shop", "event_id": f"{self.type}@{time_ms}", **self.fields}
        return msgspec.convert(
            {
                **known,
                "t": "e",
                "type": self.type,
                "order_id": self.order_id,
                "time_ms": time_ms,
                "received_ms": now_ms,
            },
            OrderEvent,
        )


def happening(
    event_type: str, order_id: str, time: str | None = None, **fields: object
) -> Happening:
    """An event of any type; the builders below name the common ones."""
    return Happening(event_type, order_id, time, fields)


created = partial(happening, EventType.CREATED.value)
paid = partial(happening, EventType.PAID.value)
called_back = partial(happening, EventType.CALLBACK.value)
accepted = partial(happening, EventType.ACCEPTED.value)
reserved = partial(happening, EventType.RESERVED.value)
attempted = partial(happening, EventType.ATTEMPTED.value)
attempt_failed = partial(happening, EventType.ATTEMPT_FAILED.value)
delivered = partial(happening, EventType.DELIVERED.value)
verified = partial(happening, EventType.VERIFIED.value)
failed = partial(happening, EventType.FAILED.value)
cancelled = partial(happening, EventType.CANCELLED.value)
refunded = partial(happening, EventType.REFUNDED.value)
expired = partial(happening, EventType.EXPIRED.value)


def heartbeat(source: str = "shop", **fields: object) -> Happening:
    """A sign of life of a source."""
    beat = {"source": source, "is_unique": True, **fields}
    return Happening(EventType.HEARTBEAT.value, "", None, beat)


def tick() -> Happening | None:
    """Nothing but time."""
    return None


class Scenario:
    """Drives one engine through a story; every method gives the scenario back, to go on."""

    def __init__(
        self,
        settings: Settings | None = None,
        rules: RuleSet | None = None,
        *,
        start_ms: int = START_MS,
    ) -> None:
        self.engine = Engine(settings or Settings(), rules or RuleSet())
        self.start_ms = self.now_ms = start_ms
        self.commands: list[tuple[int, Command]] = []
        self.wakes: list[int] = []
        self.log: list[tuple[Entry | Decision, ...]] = []  # by segment, as it is stored
        self.outcomes: tuple[str, ...] = ()
        self._wake_ms: int | None = None
        self._seen = 0

    def at(self, time: str, *given: Happening | Entry | None) -> Scenario:
        """Go on to a time after the start, waking the engine on the way, and hand over a batch."""
        at_ms = self.start_ms + _duration_ms(time)
        if at_ms < self.now_ms:
            raise ValueError(f"the story is already past {time}")
        self._wake_before(at_ms)
        entries = tuple(
            one.event(at_ms) if isinstance(one, Happening) else one
            for one in given
            if one is not None
        )
        if entries:
            self.log.append(entries)
        self._handle(Batch(entries) if entries else Tick(), at_ms)
        return self

    def expect(self, *wanted: Expected) -> Scenario:
        """Say what the engine decided and asked for since the last expectation, in its order."""
        return self._compare(wanted, lambda command: isinstance(command, (Decide, Perform, Cancel)))

    def expect_decisions(self, *wanted: Expected) -> Scenario:
        """As `expect`, without messages and other effects."""
        return self._compare(wanted, lambda command: isinstance(command, Decide))

    def skip(self) -> Scenario:
        """Leave what happened up to here unsaid."""
        self._seen = len(self.commands)
        return self

    def decisions(self) -> list[Decision]:
        """All decisions of the story so far."""
        return [one.decision for _, one in self.commands if isinstance(one, Decide)]

    def effects(self) -> list[Effect]:
        """All effects of the story so far."""
        return [one.effect for _, one in self.commands if isinstance(one, Perform)]

    def commands_like(self, line: str) -> list[tuple[int, Command]]:
        """All commands whose line of the transcript is this, with their times."""
        return [(at_ms, one) for at_ms, one in self.commands if line_of(one) == line]

    def transcript(self) -> str:
        """The whole story as lines with their times."""
        return "\n".join(
            f"{format_duration(at_ms - self.start_ms):>8}  {line_of(command)}"
            for at_ms, command in self.commands
        )

    def _wake_before(self, end_ms: int) -> None:
        for _ in range(WAKES_MAX):
            if self._wake_ms is None or self._wake_ms >= end_ms:
                return
            self.wakes.append(self._wake_ms)
            self._handle(Tick(), self._wake_ms)
        raise AssertionError(f"the engine asked for more than {WAKES_MAX} ticks in a row")

    def _handle(self, given: Batch | Tick, now_ms: int) -> None:
        self.now_ms = now_ms
        for command in self.engine.handle(given, now_ms):
            if isinstance(command, WakeAt):
                self._wake_ms = command.at_ms
            elif isinstance(command, Accepted):
                self.outcomes = command.outcomes
            else:
                self.commands.append((now_ms, command))
                if isinstance(command, Decide):
                    self.log.append((command.decision,))

    def _compare(self, wanted: Sequence[Expected], is_meant: Callable[[Command], bool]) -> Scenario:
        happened = [command for _, command in self.commands[self._seen :] if is_meant(command)]
        self._seen = len(self.commands)
        pairs = zip(wanted, happened, strict=False)
        if len(wanted) != len(happened) or not all(_matches(one, two) for one, two in pairs):
            expected = [one if isinstance(one, str) else repr(one) for one in wanted]
            found = [
                line_of(command)
                if index >= len(wanted) or isinstance(wanted[index], str)
                else repr(_content(command))
                for index, command in enumerate(happened)
            ]
            difference = "\n".join(ndiff(expected, found))
            raise AssertionError(f"expected (-) and happened (+):\n{difference}\n\nthe story:\n"
                                 f"{self.transcript()}")  # fmt: skip
        return self


def line_of(command: Command) -> str:
    """A command as one line of a transcript."""
    match command:
        case Decide(decision):
            return _decision_line(decision)
        case Perform(effect):
            return _effect_line(effect)
        case Cancel(effect_key):
            return f"cancel {effect_key}"
        case Accepted(outcomes):
            return f"took {', '.join(outcomes)}"
        case WakeAt(at_ms):
            return f"wake at {at_ms}"
        case Rewind(_, by_ms):
            return f"back by {by_ms} ms"


def _decision_line(decision: Decision) -> str:
    match decision:
        case Breached():
            return f"breach {decision.order_id} on {decision.channel}"
        case TierReached():
            return f"tier {decision.order_id} L{decision.tier}"
        case SourceMoved():
            return f"source {decision.source} {'silent' if decision.is_silent else 'back'}"
        case AlertMoved():
            return f"alert {decision.alert.key} {decision.previous} > {decision.alert.state}"
        case SwitchDecided():
            weights = " ".join(f"{name}={share}" for name, share in decision.weights.items())
            return f"switch {decision.epoch} {decision.mode} {weights}"
        case CaseMoved():
            return f"case {decision.case.order_id} {decision.case.state}"
        case BatchMoved():
            batch = decision.batch
            return f"batch {batch.ordered.action} {'waits' if batch.is_waiting else 'moved'}"
        case ShopFault():
            return f"fault {decision.order_id} {decision.fault}"
        case ActionsMoved():
            words = (f"{one.kind}={one.state}" for one in decision.actions)
            level = f" enters level {decision.level}" if decision.level else ""
            return f"actions {decision.order_id}{level} {' '.join(words)}"
        case CrowdMoved():
            return f"batch level {decision.batch.level} {decision.batch.state}"
        case BaselineLearned():
            return f"learned {decision.baseline.channel} {decision.baseline.n}"


def _effect_line(effect: Effect) -> str:
    match effect:
        case Notify():
            return (
                f"notify {effect.receiver}/{effect.integration} {effect.event_type} {effect.status}"
            )
        case CallWebhook():
            return f"webhook {effect.endpoint} {effect.event_type}"
        case SwitchChannel():
            return f"send switch {effect.epoch}"
        case Submit():
            return f"submit {effect.order_id} to {effect.channel}"
        case _:
            about = getattr(effect, "order_id", None) or getattr(effect, "attempt_ref", "")
            return f"{type(effect).__name__.lower()} {about}"


def _content(command: Command) -> Command | Decision | Effect:
    match command:
        case Decide(decision):
            return decision
        case Perform(effect):
            return effect
        case _:
            return command


def _matches(wanted: Expected, command: Command) -> bool:
    if isinstance(wanted, str):
        return wanted == line_of(command)
    return wanted == _content(command)


def _duration_ms(text: str) -> int:
    """`"-2m"` is before the start of the story."""
    return -parse_duration(text[1:]) if text.startswith("-") else int(parse_duration(text))
