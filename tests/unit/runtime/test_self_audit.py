"""The nightly look: what it tells the core, when, and what the core makes of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from monitor.core.engine import Engine
from monitor.model.commands import Batch, Perform
from monitor.model.effects import Notify
from monitor.model.errors import StorageError
from monitor.model.invariants import Violation
from monitor.model.records import SelfAudited
from monitor.model.rules import RuleSet
from monitor.model.settings import ReceiverSettings, Settings
from monitor.model.times import DAY_MS, HOUR_MS, UnixMs
from monitor.runtime.self_audit import SelfAuditor, next_night_ms

NOW = 1_700_000_000_000
FOUND = Violation("I4", "no second channel is asked", ("att_1", "att_2", "att_3", "att_4", "att_5"))
TOLD = "I4: not true that no second channel is asked: att_1, att_2, att_3 and 2 more"
SETTINGS = Settings(
    language="en",
    receivers=(ReceiverSettings("ops", ("dingtalk/0",)),),
    default_receiver="ops",
    utc_offsets=((0, 8 * HOUR_MS),),
)


class Scene:
    """An auditor over an engine that takes what it says in at once."""

    def __init__(self, *answers: tuple[Violation, ...] | StorageError) -> None:
        self.engine = Engine(SETTINGS, RuleSet())
        self.answers = list(answers)
        self.logged: list[SelfAudited] = []
        self.messages: list[Notify] = []
        self.auditor = SelfAuditor(self._answer, self.engine, self, self)

    def now_ms(self) -> UnixMs:
        return UnixMs(NOW)

    async def _answer(self, _now_ms: int) -> tuple[Violation, ...]:
        answer = self.answers.pop(0)
        if isinstance(answer, StorageError):
            raise answer
        return answer

    async def submit(self, entries: Sequence[SelfAudited]) -> tuple[str, ...]:
        self.logged += entries
        commands = self.engine.handle(Batch(tuple(entries)), NOW)
        effects = [one.effect for one in commands if isinstance(one, Perform)]
        self.messages += [one for one in effects if isinstance(one, Notify)]
        return ("accepted",) * len(entries)


async def test_broken_rule_is_logged_counted_and_told() -> None:
    """The message is critical and names rule and attempts."""
    scene = Scene((FOUND,))
    await scene.auditor.look()
    assert scene.logged == [SelfAudited((TOLD,), NOW)]
    assert scene.engine.shard.totals.invariant_violations == 1
    (message,) = scene.messages
    assert (message.receiver, message.severity) == ("ops", "critical")
    assert "att\\_1" in message.text


async def test_sound_files_are_not_worth_a_line() -> None:
    """Nothing is logged and nobody is told."""
    scene = Scene(())
    await scene.auditor.look()
    assert scene.logged == []


async def test_end_of_a_finding_is_counted_and_not_told() -> None:
    """The metric falls back to 0 with the look that finds nothing."""
    scene = Scene((FOUND,), (), ())
    for _ in range(3):
        await scene.auditor.look()
    assert [one.findings for one in scene.logged] == [(TOLD,), ()]
    assert scene.engine.shard.totals.invariant_violations == 0
    assert len(scene.messages) == 1


async def test_files_that_cannot_be_read_end_nothing() -> None:
    """The storage tells of its own trouble; the next night looks again."""
    scene = Scene(StorageError("the disk"), ())
    assert await scene.auditor.look() == ()
    assert await scene.auditor.look() == ()


@pytest.mark.parametrize(("hour_utc", "wait_h"), [(19, 1), (20, 24), (21, 23)])
def test_next_look_is_at_four_in_the_morning_of_the_shop(hour_utc: int, wait_h: int) -> None:
    """Eight hours ahead of UTC that is 20:00 UTC, and never at once."""
    engine = Engine(SETTINGS, RuleSet())
    now_ms = NOW - NOW % DAY_MS + hour_utc * HOUR_MS
    assert next_night_ms(now_ms, engine) - now_ms == wait_h * HOUR_MS
