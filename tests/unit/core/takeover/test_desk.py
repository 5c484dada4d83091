"""Many stuck orders at one channel: who is submitted, who waits, and what lets them go on."""

from typing import Any

import msgspec

from monitor.core.engine import Engine
from monitor.model.commands import Batch, Perform, Tick
from monitor.model.effects import Claim, Effect, Submit
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import AttemptAnswered, ChannelSteered, ClaimAnswered, Entry
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.takeovers import TakeoverCase
from monitor.model.times import MINUTE_MS

START_MS = 1_767_225_600_000
STUCK_MS = START_MS + 6 * MINUTE_MS


def settings(*order: str, max_ambiguous: int = 3) -> Settings:
    channels = (
        ChannelSettings("pool", kind="stock"),
        ChannelSettings("asked", kind="http", capability="queryable", settle_ms=30_000),
        ChannelSettings("blind", kind="http", capability="opaque"),
    )
    fallback = FallbackSettings(
        mode="enforce", order=order, has_shop=True, max_per_hour=100,
        max_value_per_day_minor=10**9, max_ambiguous=max_ambiguous,
    )  # fmt: skip
    return Settings(channels=channels, fallback=fallback)


class Crowd:
    """So many orders that got stuck together; `o0` was paid first."""

    def __init__(
        self, count: int, given: Settings, vips: tuple[int, ...] = (), stuck_ms: int = STUCK_MS
    ) -> None:
        self.engine = Engine(given, RuleSet())
        self.now_ms = START_MS
        self.effects: list[Effect] = []
        self.take(*(_paid(number, is_vip=number in vips) for number in range(count)))
        self.now_ms = stuck_ms
        self.tick()

    def take(self, *entries: Entry) -> list[Effect]:
        return self._handled(Batch(entries))

    def tick(self, after_ms: int = 0) -> list[Effect]:
        self.now_ms += after_ms
        return self._handled(Tick())

    def _handled(self, given: Batch | Tick) -> list[Effect]:
        commands = self.engine.handle(given, self.now_ms)
        effects = [one.effect for one in commands if isinstance(one, Perform)]
        self.effects += effects
        return effects

    def case(self, number: int) -> TakeoverCase:
        found = self.engine.shard.orders[f"o{number}"].case
        assert found is not None
        return found

    def grant_all(self) -> list[str]:
        """The shop grants every claim in one batch; the orders that are submitted then."""
        claims = [one for one in self.effects if isinstance(one, Claim)]
        return submitted(self.take(*(_granted(one, self.now_ms) for one in claims)))

    def answer(self, number: int, outcome: str, **more: Any) -> list[str]:
        attempt = self.case(number).attempts[-1]
        found = AttemptAnswered(
            f"submit_{attempt.ref}", self.case(number).takeover_id, attempt.ref, outcome,
            self.now_ms, code="x", goods_count=1,
        )  # fmt: skip
        return submitted(self.take(msgspec.structs.replace(found, **more)))

    def steer(self, channel: str, action: str) -> list[str]:
        return submitted(self.take(ChannelSteered(channel, action, "ann", self.now_ms)))


def submitted(effects: list[Effect]) -> list[str]:
    return [f"{one.order_id}@{one.channel}" for one in effects if isinstance(one, Submit)]


def _paid(number: int, *, is_vip: bool) -> OrderEvent:
    at_ms = START_MS + number
    return OrderEvent(
        EventType.PAID, f"o{number}", "shop", f"e{number}", at_ms, at_ms, amount_minor=500,
        currency="CNY", customer_tier="vip" if is_vip else "normal",
    )  # fmt: skip


def _granted(claim: Claim, now_ms: int) -> ClaimAnswered:
    return ClaimAnswered(
        claim.key, claim.takeover_id, "granted", now_ms, paid=True, sku="s", amount_minor=500
    )


def test_crowd_waits_for_slots_and_goes_on_by_age() -> None:
    """Three of four slots are for everybody; an answer lets the oldest that waits go."""
    crowd = Crowd(6, settings("pool"))
    assert crowd.grant_all() == ["o0@pool", "o1@pool", "o2@pool"]
    waiting = crowd.case(3)
    assert (waiting.state, waiting.waits_for, waiting.waits_because) == (
        "claimed", "pool", "slots",
    )  # fmt: skip
    assert crowd.answer(1, "delivered") == ["o3@pool", "o4@pool"]  # one is free, and one is new
    assert crowd.case(3).waits_for is None


def test_vip_overtakes_the_crowd_and_may_use_the_slot_that_is_kept() -> None:
    """Paid last, submitted at once."""
    crowd = Crowd(6, settings("pool"), vips=(5,))
    assert crowd.grant_all() == ["o0@pool", "o1@pool", "o2@pool", "o5@pool"]
    crowd = Crowd(8, settings("pool"), vips=(6, 7))
    crowd.grant_all()
    assert crowd.answer(0, "unknown") == ["o7@pool"]


def test_order_in_the_third_tier_overtakes_the_crowd() -> None:
    """It has waited for half an hour: the slot that is kept is for it."""
    crowd = Crowd(5, settings("pool"), stuck_ms=START_MS + 29 * MINUTE_MS)
    assert crowd.grant_all() == ["o0@pool", "o1@pool", "o2@pool"]
    assert submitted(crowd.tick(2 * MINUTE_MS)) == ["o3@pool"]


def test_drained_channel_gets_nothing_new_and_finishes_what_is_open() -> None:
    """Its share goes to the next channel; the answer of what was open still counts."""
    crowd = Crowd(4, settings("pool", "asked"))
    assert crowd.grant_all() == ["o0@pool", "o1@pool", "o2@pool"]
    assert crowd.steer("pool", "drain") == ["o3@asked"]
    assert crowd.answer(0, "delivered") == []
    assert crowd.case(0).state == "handing_over"


def test_locked_channel_keeps_orders_waiting_until_it_is_unlocked_or_a_person_gets_them() -> None:
    """A quarter of an hour; then the order goes back to the shop and to a person."""
    crowd = Crowd(2, settings("pool"))
    crowd.steer("pool", "lock")
    assert crowd.grant_all() == []
    assert crowd.case(0).waits_because == "paused"
    assert crowd.steer("pool", "unlock") == ["o0@pool", "o1@pool"]
    crowd = Crowd(1, settings("pool"))
    crowd.steer("pool", "lock")
    crowd.grant_all()
    crowd.tick(15 * MINUTE_MS)
    assert (crowd.case(0).state, crowd.case(0).escalated_reason) == ("escalated", "channel_paused")


def test_opaque_channel_is_left_alone_while_too_much_is_in_doubt() -> None:
    """One unknown outcome is allowed; what a person says of it lets the next order try."""
    crowd = Crowd(2, settings("blind", max_ambiguous=1))
    assert crowd.grant_all() == ["o0@blind"]
    assert crowd.answer(0, "unknown") == []
    assert crowd.case(0).escalated_reason == "unknown_outcome"
    assert crowd.case(1).waits_because == "ambiguous"
    crowd.tick(15 * MINUTE_MS)
    assert crowd.case(1).escalated_reason == "too_many_open"


def test_throttled_channel_is_asked_again_when_it_said() -> None:
    """`Retry-After: 40`: nobody before, then as many as there are slots, the oldest first."""
    crowd = Crowd(5, settings("asked"))
    crowd.grant_all()
    assert crowd.answer(0, "rejected", retry="same", retry_after_ms=40_000) == []
    assert submitted(crowd.tick(39_999)) == []
    assert submitted(crowd.tick(1)) == ["o0@asked"]
    assert crowd.answer(0, "delivered") == ["o3@asked", "o4@asked"]


def test_long_throttling_sends_the_order_to_the_next_channel() -> None:
    """More than a minute is too long to wait while another channel could deliver."""
    crowd = Crowd(4, settings("asked", "pool"))
    crowd.grant_all()
    assert crowd.answer(0, "rejected", retry="other", retry_after_ms=10 * MINUTE_MS) == [
        "o0@pool", "o3@pool",
    ]  # fmt: skip


def test_restored_desk_goes_on_where_the_old_one_was() -> None:
    """Slots, queue and what is under way survive; the next answer lets the same order go."""
    crowd = Crowd(6, settings("pool"), vips=(5,))
    crowd.grant_all()
    crowd.answer(0, "unknown")
    body = crowd.engine.snapshot()
    restored = Engine(settings("pool"), RuleSet())
    restored.restore(body, crowd.now_ms)
    assert restored.engine_hash() == crowd.engine.engine_hash()
    crowd.engine = restored
    assert crowd.answer(1, "delivered") == ["o3@pool", "o4@pool"]


def test_not_found_soon_after_a_restart_proves_nothing() -> None:
    """The clock may have been set an hour on while we were away: settle begins anew."""
    crowd = Crowd(1, settings("asked", "pool"))
    crowd.grant_all()
    crowd.answer(0, "unknown")
    crowd.now_ms += 60 * MINUTE_MS
    crowd.engine.resume(crowd.now_ms, crowd.now_ms - 60 * MINUTE_MS)
    ref = crowd.case(0).attempts[-1].ref
    for number in (1, 2):
        crowd.tick(1_000)
        crowd.answer(0, "not_found", effect_key=f"query_{ref}_{number}", is_query=True)
    attempt = crowd.case(0).attempts[-1]
    assert (attempt.not_found, attempt.queries, attempt.early) == (0, 2, 2)
    wake_ms = crowd.case(0).wake_ms
    assert wake_ms is not None
    assert wake_ms - crowd.now_ms <= 30_000, "the next question is no later for those two"
    assert [one for one in submitted(crowd.effects) if "pool" in one] == []


def test_answer_after_the_clock_was_set_back_puts_nothing_off() -> None:
    """What was open keeps its distance from now, whoever moves the case first: answer or clock."""
    crowd = Crowd(1, settings("asked", "pool"))
    crowd.grant_all()
    crowd.answer(0, "unknown")
    crowd.now_ms -= 60 * MINUTE_MS
    key = f"query_{crowd.case(0).attempts[-1].ref}_1"
    crowd.answer(0, "accepted", effect_key=key, is_query=True)
    case = crowd.case(0)
    assert case.wake_ms is not None
    assert case.wake_ms - crowd.now_ms <= 5 * MINUTE_MS
    assert case.attempts[-1].settle_until_ms - crowd.now_ms <= 5 * MINUTE_MS


def test_answer_that_another_clock_has_timed_counts_from_now() -> None:
    """It was logged before a kill, an hour ahead: what it leaves open is no hour away."""
    crowd = Crowd(1, settings("asked", "pool"))
    crowd.grant_all()
    crowd.answer(0, "unknown", at_ms=crowd.now_ms + 60 * MINUTE_MS)
    case = crowd.case(0)
    assert case.wake_ms is not None
    assert case.wake_ms - crowd.now_ms <= 5 * MINUTE_MS
