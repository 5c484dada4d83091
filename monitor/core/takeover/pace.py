"""How fast channels are submitted to: slots, a budget for retries, and who goes first.

    a case is claimed ─► Pace.wait ─► None: submit now
                             └─► Wait: paused, ambiguous, throttled, retry_budget, slots

* **Slots**: attempts under way at once, 4 to 32 a channel. An answer adds one, if at least half
  were in use; silence or a throttling takes a tenth away (AIMD). A fifth is kept for VIP buyers
  and L3, so that a crowd of ordinary orders never stands before them.
* **Retries** on a channel that has refused the same order before: one for every five first
  attempts, and ten a minute beside, or an outage would be answered by three times the load.
* **Throttling**: a channel that says `Retry-After` gets nothing from anybody until then.
* **Ambiguity**: a channel that can never be asked (R3) leaves at most `max_ambiguous` attempts
  open until a person knows what became of them.
* **Pauses**: a channel that a person drained or locked gets nothing new; what is open is finished.

Everything here follows from cases and their times (`follow`), so a log leads to the same state. The
cases that wait for an event, not for a time, stand in queues (`waiting.py`).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from monitor.core.takeover.learning import is_opaque
from monitor.core.takeover.steps import OPEN_ATTEMPT
from monitor.model.ids import hash01
from monitor.model.settings import ChannelSettings, Settings
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase
from monitor.model.times import MINUTE_MS, SECOND_MS

SLOTS_MIN, SLOTS_MAX = 4, 32
KEPT_DIVISOR = 5  # one slot in five is for VIP and L3, and always one
MILLI = 1_000
RETRIES_PER_ATTEMPT_MILLI = 200
EARNED_MAX_MILLI = 20 * MILLI  # so that a good day does not pay for a storm
RESERVE_MILLI = 10 * MILLI  # filled again within a minute
THROTTLE_JITTER_MS = 2 * SECOND_MS  # who waited for the same moment does not come at once
NOT_SENT = ("not_sent", "throttled")  # codes of a channel that has too much to do

PAUSED, AMBIGUOUS, THROTTLED, RETRY_BUDGET, SLOTS = (
    "paused", "ambiguous", "throttled", "retry_budget", "slots",
)  # fmt: skip


class Wait(msgspec.Struct, frozen=True):
    """Why a case may not be submitted to a channel now; `until_ms` None: until something happens."""

    reason: str
    until_ms: int | None = None

    @property
    def is_for_an_event(self) -> bool:
        """Whether it ends by what others do, so that the case stands in a queue."""
        return self.until_ms is None


class Gate(Protocol):
    """Whoever may hold a submit back."""

    def refusal(self, case: TakeoverCase, now_ms: int) -> str | None:
        """The limit that forbids to spend anything for the case, or None."""
        ...

    def wait(self, case: TakeoverCase, channel: ChannelSettings, now_ms: int) -> Wait | None:
        """Why the case must wait for the channel, or None if it may be submitted now."""
        ...


class Open:
    """A gate that never holds anything back."""

    def refusal(self, case: TakeoverCase, now_ms: int) -> None:
        """Nothing is forbidden."""

    def wait(
        self,
        case: TakeoverCase,
        channel: ChannelSettings,
        now_ms: int,
    ) -> None:
        """Nothing has to wait."""


class ChannelPace(msgspec.Struct):
    """What is remembered of one channel; thousandths, because sums of floats depend on order."""

    slots_milli: int = SLOTS_MIN * MILLI
    earned_milli: int = 0
    reserve_milli: int = RESERVE_MILLI
    reserve_ms: int = 0
    throttled_until_ms: int = 0

    @property
    def slots(self) -> int:
        """Attempts that may be under way at once."""
        return self.slots_milli // MILLI

    def room(self, *, is_privileged: bool) -> int:
        """The slots that such a case may use."""
        return self.slots if is_privileged else self.slots - max(1, self.slots // KEPT_DIVISOR)

    def reserve_at(self, now_ms: int) -> int:
        """Thousandths of retries in the reserve, which fills by itself."""
        gained = max(0, now_ms - self.reserve_ms) * RESERVE_MILLI // MINUTE_MS
        return min(RESERVE_MILLI, self.reserve_milli + gained)

    def answered(self, under_way: int) -> None:
        """The channel answered; more slots help only if they are used."""
        if 2 * under_way >= self.slots:
            self.slots_milli = min(SLOTS_MAX * MILLI, self.slots_milli + MILLI)

    def overwhelmed(self) -> None:
        """The channel was silent or asked for less."""
        self.slots_milli = max(SLOTS_MIN * MILLI, self.slots_milli * 9 // 10)

    def tried(self, *, is_retry: bool, now_ms: int) -> None:
        """An attempt began: a first one earns a fifth of a retry, a retry costs a whole one."""
        if not is_retry:
            self.earned_milli = min(EARNED_MAX_MILLI, self.earned_milli + RETRIES_PER_ATTEMPT_MILLI)
        elif self.earned_milli >= MILLI:
            self.earned_milli -= MILLI
        else:
            self.reserve_milli = max(0, self.reserve_at(now_ms) - MILLI)
            self.reserve_ms = now_ms

    def retries_left(self, now_ms: int) -> int:
        """How many retries are paid for now."""
        return self.earned_milli // MILLI + self.reserve_at(now_ms) // MILLI

    def retry_at_ms(self, now_ms: int) -> int:
        """From when on a retry is paid for."""
        lacking = MILLI - self.reserve_at(now_ms)
        if self.earned_milli >= MILLI or lacking <= 0:
            return now_ms
        return now_ms - (-lacking * MINUTE_MS // RESERVE_MILLI)


class Pace:
    """The paces of all channels; `under_way` and `ambiguous` count attempts by channel."""

    def __init__(self) -> None:
        self.channels: dict[str, ChannelPace] = {}
        self.under_way: dict[str, int] = {}
        self.ambiguous: dict[str, int] = {}

    def of(self, channel: str) -> ChannelPace:
        """The pace of a channel; one that nothing is remembered of has that of a new one."""
        return self.channels.get(channel) or ChannelPace()

    def wait(
        self,
        case: TakeoverCase,
        channel: ChannelSettings,
        settings: Settings,
        now_ms: int,
        *,
        is_privileged: bool,
    ) -> Wait | None:
        """Why the case must wait for the channel, or None; pauses and queues are the desk's."""
        if channel.kind == "manual":
            return None  # people take from their queue as fast as they like
        name, pace = channel.name, self.of(channel.name)
        closed = self.closed(channel, settings, now_ms)
        if closed is not None and closed.until_ms is not None:
            spread = round(THROTTLE_JITTER_MS * hash01(case.takeover_id, str(now_ms)))
            return Wait(THROTTLED, closed.until_ms + spread)
        if closed is not None:
            return closed
        if is_retry(case.attempts, name):
            retry_ms = pace.retry_at_ms(now_ms)
            if retry_ms > now_ms:
                return Wait(RETRY_BUDGET, retry_ms)
        if self.under_way.get(name, 0) >= pace.room(is_privileged=is_privileged):
            return Wait(SLOTS)
        return None

    def closed(self, channel: ChannelSettings, settings: Settings, now_ms: int) -> Wait | None:
        """Why nobody at all may submit to the channel now, or None."""
        limit = settings.fallback.max_ambiguous
        if is_opaque(channel) and self.ambiguous.get(channel.name, 0) >= limit:
            return Wait(AMBIGUOUS)
        until_ms = self.of(channel.name).throttled_until_ms
        return Wait(THROTTLED, until_ms) if now_ms < until_ms else None

    def follow(self, before: TakeoverCase | None, after: TakeoverCase) -> None:
        """Take in that a case moved; the same move again changes nothing."""
        if before is not None and before.attempts is after.attempts and before.state == after.state:
            return
        known = before.attempts if before is not None else ()
        if after.attempts is not known:
            for index, now in enumerate(after.attempts):
                self._learn(known[index] if index < len(known) else None, now, after)
        self.recount(before, after)

    def follow_clock(self, now_ms: int, back_ms: int) -> None:
        """Our clock was ahead until now, by so much."""
        for pace in self.channels.values():
            pace.reserve_ms = min(pace.reserve_ms, now_ms)
            if pace.throttled_until_ms > now_ms:
                pace.throttled_until_ms = max(now_ms, pace.throttled_until_ms - back_ms)

    def recount(self, before: TakeoverCase | None, after: TakeoverCase) -> None:
        """Count a case that was brought back; nothing is learned from it."""
        if before is not None:
            self._count(before, -1)
        self._count(after, 1)

    def _learn(self, was: Attempt | None, now: Attempt, after: TakeoverCase) -> None:
        """Take in what became of one attempt, for its channel."""
        if now == was:
            return
        pace = self.channels.setdefault(now.channel, ChannelPace())
        if was is None:
            earlier = after.attempts[: now.number - 1]
            pace.tried(is_retry=is_retry(earlier, now.channel), now_ms=now.submitted_ms)
            return
        pace.throttled_until_ms = max(pace.throttled_until_ms, now.throttled_until_ms)
        if was.state != AttemptState.SUBMITTING or now.state == AttemptState.SUBMITTING:
            return
        is_throttled = now.throttled_until_ms > was.throttled_until_ms
        if is_throttled or now.state == AttemptState.UNKNOWN or now.code in NOT_SENT:
            pace.overwhelmed()
        else:
            pace.answered(self.under_way.get(now.channel, 0))

    def _count(self, case: TakeoverCase, change: int) -> None:
        if not case.attempts:
            return
        last = case.attempts[-1]
        if case.state == CaseState.SUBMITTING:
            self.under_way[last.channel] = self.under_way.get(last.channel, 0) + change
        if case.resolution is None and last.state in OPEN_ATTEMPT:
            self.ambiguous[last.channel] = self.ambiguous.get(last.channel, 0) + change


def is_retry(earlier: tuple[Attempt, ...], channel: str) -> bool:
    """Whether the channel has had this order before."""
    return any(attempt.channel == channel for attempt in earlier)
