"""Whatever is claimed, answered and bought at once: no hour and no day holds more than is allowed.

The world draws amounts (the event's and, different, the shop's), batches, delays of up to two days,
outcomes and persons. The oracle only reads effects and times, never the ledger.
"""

import random

import msgspec
import pytest

from monitor.core.engine import Engine
from monitor.model.commands import Batch, Command, Perform, Tick, WakeAt
from monitor.model.effects import Claim, Effect, HandOver, Query, Submit
from monitor.model.events import EventType, OrderEvent
from monitor.model.records import (
    AttemptAnswered,
    CaseResolved,
    ClaimAnswered,
    Entry,
    HandOverAnswered,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

START_MS = 1_767_225_600_000
PER_HOUR, PER_DAY, LOSS = 4, 2_000, 50
SETTINGS = Settings(
    channels=(
        ChannelSettings("asked", "http", "queryable", settle_ms=30_000, is_cost_guarded=True),
        ChannelSettings("pool", "stock"),
        ChannelSettings("blind", "http", "opaque", is_cost_guarded=True),
    ),
    fallback=FallbackSettings(
        mode="enforce", order=("asked", "pool", "blind"), max_per_hour=PER_HOUR,
        max_value_per_day_minor=PER_DAY, max_loss_minor=LOSS, has_shop=True,
    ),
)  # fmt: skip
GAPS_MS = (0, SECOND_MS, 40 * SECOND_MS, 10 * MINUTE_MS, HOUR_MS, 7 * HOUR_MS, 23 * HOUR_MS)


class World:
    """One engine in the hands of chance, and what it asked for."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.engine = Engine(SETTINGS, RuleSet())
        self.now_ms = START_MS
        self.waiting: list[Effect] = []
        self.opened_ms: list[int] = []
        self.bought: dict[str, list[tuple[int, int]]] = {}  # order → (time, its true amount)
        self.orders = 0

    def move(self) -> None:
        self.now_ms += self.chance.choice(GAPS_MS)
        entries: list[Entry] = [self._paid() for _ in range(self.chance.choice((0, 0, 3)))]
        self.chance.shuffle(self.waiting)
        heard = self.chance.randrange(len(self.waiting) + 1)
        entries += [one for effect in self.waiting[:heard] for one in self._answers(effect)]
        del self.waiting[:heard]
        if self.chance.random() < 0.2:
            entries += self._person()
        self._take(self.engine.handle(Batch(tuple(entries)) if entries else Tick(), self.now_ms))

    def _take(self, commands: list[Command]) -> None:
        for one in commands:
            if isinstance(one, WakeAt) and self.chance.random() < 0.5:
                self.now_ms = max(self.now_ms, min(one.at_ms, self.now_ms + HOUR_MS))
            if not isinstance(one, Perform):
                continue
            match one.effect:
                case Claim(key=key, fence=1):
                    assert key
                    self.opened_ms.append(self.now_ms)
                    self.waiting.append(one.effect)
                case Submit() as submit:
                    assert submit.amount_minor is not None
                    assert submit.max_cost_minor is not None
                    assert submit.max_cost_minor <= submit.amount_minor + LOSS
                    at = (self.now_ms, submit.amount_minor)
                    self.bought.setdefault(submit.order_id, []).append(at)
                    self.waiting.append(submit)
                case Claim() | HandOver() | Query() as effect:
                    self.waiting.append(effect)
                case _:
                    pass

    def _paid(self) -> OrderEvent:
        self.orders += 1
        name, at_ms = f"o{self.orders}", self.now_ms - 5 * MINUTE_MS
        return OrderEvent(
            EventType.PAID, name, "shop", f"e{name}", at_ms, self.now_ms, currency="CNY",
            amount_minor=self.chance.choice((None, 1, 300, 900)),
        )  # fmt: skip

    def _answers(self, effect: Effect) -> list[Entry]:
        chance, now_ms = self.chance, self.now_ms
        match effect:
            case Claim():
                return [
                    ClaimAnswered(
                        effect.key, effect.takeover_id, chance.choice(("granted",) * 5 + ("denied",)),
                        now_ms, paid=True, sku="s", amount_minor=chance.choice((100, 600, 1_500)),
                    )
                ]  # fmt: skip
            case Submit() | Query():
                outcome = chance.choice(("delivered", "rejected", "unknown", "accepted"))
                found = AttemptAnswered(
                    effect.key, effect.takeover_id, effect.attempt_ref, outcome, now_ms,
                    is_query=isinstance(effect, Query), code="x", goods_count=1,
                    goods_digest=effect.attempt_ref, retry=chance.choice(("same", "other")),
                )  # fmt: skip
                return [found]
            case HandOver():
                outcome = chance.choice(("delivered", "already_delivered", "refused"))
                return [HandOverAnswered(effect.key, effect.takeover_id, outcome, now_ms)]
            case _:
                return []

    def _person(self) -> list[Entry]:
        """Somebody says of an escalated case that nothing was delivered: it goes on."""
        stuck = [one for one in self.engine.desk.cases.values() if one.state == "escalated"]
        return [
            CaseResolved(one.takeover_id, "not_delivered", "ann", self.now_ms) for one in stuck[:2]
        ]

    def violations(self) -> list[str]:
        """What no limit allows, over every hour and every day that begins with something."""
        found = [
            f"more than {PER_HOUR} cases in the hour from {at_ms}"
            for at_ms in self.opened_ms
            if sum(at_ms <= one < at_ms + HOUR_MS for one in self.opened_ms) > PER_HOUR
        ]
        for since_ms in sorted({at_ms for tries in self.bought.values() for at_ms, _ in tries}):
            value = sum(
                max(
                    (amount for at_ms, amount in tries if 0 <= at_ms - since_ms < DAY_MS), default=0
                )
                for tries in self.bought.values()
            )
            if value > PER_DAY:
                found.append(f"{value} in the day from {since_ms}")
        return found


def played(seed: int, moves: int = 60) -> World:
    world = World(seed)
    for _ in range(moves):
        world.move()
    return world


def test_no_hour_and_no_day_holds_more_than_is_allowed() -> None:
    """Over hundreds of worlds; in most of them a limit was what stopped something."""
    bought = limited = 0
    for seed in range(80):
        world = played(seed)
        assert world.violations() == [], seed
        bought += len(world.bought)
        limited += world.orders > len(world.opened_ms)
    assert bought > 150
    assert limited > 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_per_hour": PER_HOUR + 1},
        {"max_value_per_day_minor": PER_DAY + 500},
    ],
    ids=["hour", "day"],
)
def test_limit_that_is_not_kept_is_found(wrong: dict[str, int]) -> None:
    """The oracle sees an executor that allows itself a little more."""
    fallback = msgspec.structs.replace(SETTINGS.fallback, **wrong)
    found = False
    for seed in range(30):
        world = World(seed)
        world.engine = Engine(msgspec.structs.replace(SETTINGS, fallback=fallback), RuleSet())
        for _ in range(60):
            world.move()
        found = found or bool(world.violations())
    assert found
