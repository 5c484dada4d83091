"""Runs recorded events through the real engine in virtual time and keeps what a report needs.

How time goes on is in `player.py`; here decisions are noted and effects counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import assert_never

import msgspec

from monitor.core.engine import Engine
from monitor.model.commands import Accepted, Cancel, Command, Decide, Perform, Rewind, WakeAt
from monitor.model.effects import Notify
from monitor.model.events import OrderEvent
from monitor.model.records import (
    ActionsMoved,
    AlertMoved,
    BaselineLearned,
    CaseMoved,
    CrowdMoved,
    Decision,
    SourceMoved,
    SwitchDecided,
    TierReached,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.sim.gaps import gap_warnings
from monitor.sim.player import Player, floor_ms, record

# Decisions worth a line of the report each; breaches and tiers are only counted.
Notable = AlertMoved | SwitchDecided | CaseMoved | SourceMoved


class Replayed(msgspec.Struct, frozen=True, eq=False):
    """The engine at `at_ms` with every order in memory, and what happened on the way there.

    `untimed` events named no usable time of their own, `later` ones lie beyond `until_ms`; neither
    was taken. `counts` counts decisions by kind (`breach`, `tier 1` …) and effects by kind.
    `evaluation_floor_ms`: rules and breaker were evaluated no more often than this. `warnings` name
    gaps of years.
    """

    engine: Engine
    settings: Settings
    at_ms: int
    first_ms: int | None
    last_ms: int | None
    accepted: int
    duplicates: int
    untimed: int
    later: int
    notable: tuple[Notable, ...]
    counts: dict[str, int]
    evaluation_floor_ms: int
    state_hash: str
    engine_hash: str
    warnings: tuple[str, ...]


def replay(
    events: Sequence[OrderEvent], settings: Settings, rules: RuleSet, *, until_ms: int | None
) -> Replayed:
    """Feed events to a fresh engine in the order of their times and stop at a time.

    Without `until_ms` that is the time of the last event; with it later events are left out and
    time goes on to it. Events that only have an arrival time cannot be placed and are left out.
    """
    tape = record(events, until_ms=until_ms)
    floor = floor_ms(tape, settings, len(rules.rules))
    settings = msgspec.structs.replace(settings, evaluation_floor_ms=floor)
    notes = _Notes()
    player = Player(settings, rules, notes.take)
    player.play(tape)
    player.bring_back_all(tape.at_ms)
    return Replayed(
        engine=player.engine,
        settings=settings,
        at_ms=tape.at_ms,
        first_ms=tape.first_ms,
        last_ms=tape.last_ms,
        accepted=notes.counts["accepted"],
        duplicates=notes.counts["duplicate"],
        untimed=tape.untimed,
        later=tape.later,
        notable=tuple(notes.notable),
        counts=dict(sorted(notes.counts.items())),
        evaluation_floor_ms=floor,
        state_hash=player.engine.state_hash(tape.at_ms),
        engine_hash=player.engine.engine_hash(),
        warnings=gap_warnings(tape),
    )


class _Notes:
    """What happened on the way."""

    def __init__(self) -> None:
        self.notable: list[Notable] = []
        self.counts: Counter[str] = Counter()

    def take(self, command: Command) -> None:
        """Note what a command says."""
        match command:
            case Accepted(outcomes):
                self.counts.update(outcomes)
            case Decide(decision):
                self._note_decision(decision)
            case Perform(effect):
                kind = f"{effect.event_type}" if isinstance(effect, Notify) else ""
                self.counts[f"effect {type(effect).__name__} {kind}".rstrip()] += 1
            case Cancel() | Rewind() | WakeAt():
                pass
            case _:
                assert_never(command)

    def _note_decision(self, decision: Decision) -> None:
        if isinstance(decision, Notable):
            self.notable.append(decision)
        else:
            self.counts[_counted_as(decision)] += 1


def _counted_as(decision: Decision) -> str:
    match decision:
        case TierReached():
            return f"tier {decision.tier}"
        case BaselineLearned():
            return "baseline"
        case ActionsMoved() | CrowdMoved():
            return "playbook"
        case _:
            return "breach"
