"""A dishonest world around one takeover: lost, late, doubled and reordered answers.

The world knows the truth (who has really bought) and keeps only what suppliers promise: a request
takes effect within its settle time or never, a first rejection is true, a lookup says `not_found`
wrongly at most once. `choose(n)` draws from 0…n-1, so that a seed or hypothesis plays the world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

from monitor.model.effects import Claim, Effect, HandOver, Quarantine, Query, Release, Submit
from monitor.model.records import (
    Answer,
    AttemptAnswered,
    CaseResolved,
    ClaimAnswered,
    HandOverAnswered,
)
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.takeovers import TakeoverCase

SETTLE_MS = 30_000
CHANNELS = (
    ChannelSettings(name="asked", kind="http", capability="queryable", settle_ms=SETTLE_MS),
    ChannelSettings(name="again", kind="http", capability="idempotent", settle_ms=SETTLE_MS),
    ChannelSettings(name="other", kind="http", capability="queryable", settle_ms=SETTLE_MS),
    ChannelSettings(name="blind", kind="http", capability="opaque", settle_ms=SETTLE_MS),
    ChannelSettings(name="dark", kind="http", capability="opaque", settle_ms=SETTLE_MS),
    ChannelSettings(name="twice", kind="http", capability="detectable", settle_ms=SETTLE_MS),
    ChannelSettings(name="staff", kind="manual"),
)
MOVES = ("perform",) * 6 + ("hear",) * 6 + ("rehear",) + ("wait",) * 3
REPEATABLE = (Release, Quarantine)  # asking twice changes nothing
INTERRUPTIONS = 80  # one move in so many is the shop's or a person's own doing
FINISHES = ("delivered", "refunded", "failed", "cancelled")
DECISIONS = ("not_delivered", "not_delivered", "delivered", "refunded", "alternative")


@dataclass
class Fate:
    """The truth about one attempt: when its request takes effect (None: never), and how."""

    arrives_ms: int | None
    is_buying: bool
    has_lied: bool = False


@dataclass
class World:
    """One case in the hands of chance."""

    machine: ModuleType
    choose: Callable[[int], int]
    case: TakeoverCase
    settings: Settings
    now_ms: int = 1_000_000
    waiting: list[Effect] = field(default_factory=list)
    heard_later: list[Answer] = field(default_factory=list)
    said: list[Answer] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)
    handed_over: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    asked_keys: list[str] = field(default_factory=list)
    is_excused: bool = False  # a person vouched for an attempt: what follows is their word
    violations: list[str] = field(default_factory=list)


def play(machine: ModuleType, choose: Callable[[int], int], moves: int = 80) -> World:
    """Play one case for a number of moves and return the world with what went wrong."""
    start = choose(len(CHANNELS))
    rotated = CHANNELS[start:] + CHANNELS[:start]
    # Opaque ones come last of all: only a short list ever gets to them.
    order = tuple(channel.name for channel in rotated[: 2 + choose(len(CHANNELS) - 1)])
    settings = Settings(channels=CHANNELS, fallback=FallbackSettings(order=order, has_shop=True))
    step = machine.open_case(
        order_id="o1",
        held_by_channel="auto",
        sku="s",
        quantity=1,
        amount_minor=100,
        currency="CNY",
        region=None,
        fence=1,
        settings=settings,
        now_ms=1_000_000,
    )
    world = World(machine, choose, step.case, settings)
    _take(world, step)
    for _ in range(moves):
        _move(world)
    return world


def _move(world: World) -> None:
    if world.choose(INTERRUPTIONS) == INTERRUPTIONS - 1:
        return _interrupt(world)
    match MOVES[world.choose(len(MOVES))]:
        case "perform" if world.waiting:
            _perform(world, world.waiting.pop(world.choose(len(world.waiting))))
        case "hear" if world.heard_later:
            answer = world.heard_later.pop(world.choose(len(world.heard_later)))
            world.said.append(answer)
            _hear(world, answer)
        case "rehear" if world.said:
            _hear(world, world.said[world.choose(len(world.said))])
        case _ if not world.waiting and not world.heard_later:
            _wait(world)
        case "wait":
            _wait(world)
    return None


def _interrupt(world: World) -> None:
    """The shop closes the order itself, or a person decides."""
    machine, now = world.machine, world.now_ms
    if world.choose(2):
        kind = FINISHES[world.choose(len(FINISHES))]
        ours = (None, world.case.takeover_id)[world.choose(2)]
        _take(world, machine.on_order_finished(world.case, kind, ours, now))
        return
    decision = DECISIONS[world.choose(len(DECISIONS))]
    world.is_excused = world.is_excused or decision == "not_delivered"
    order = CaseResolved(world.case.takeover_id, decision, "ann", now)
    _take(world, machine.on_person(world.case, order, world.settings, now))


def _wait(world: World) -> None:
    """Let time pass: to the wake-up the machine asked for, or past it."""
    is_asked = bool(world.waiting or world.heard_later)
    if world.case.wake_ms is not None and world.choose(8 if is_asked else 2) == 0:
        world.now_ms = max(world.now_ms, world.case.wake_ms)
    else:
        world.now_ms += (1_000, 5_000, 20_000, 60_000)[world.choose(4)]
    _take(world, world.machine.on_wake(world.case, world.settings, world.now_ms))


def _hear(world: World, answer: Answer) -> None:
    machine, case, settings, now = world.machine, world.case, world.settings, world.now_ms
    match answer:
        case ClaimAnswered():
            _take(world, machine.on_claim(case, answer, settings, now))
        case AttemptAnswered():
            _take(world, machine.on_attempt(case, answer, settings, now))
        case HandOverAnswered():
            _take(world, machine.on_hand_over(case, answer, settings, now))


def _take(world: World, step: object) -> None:
    """Queue what the machine asked for and judge it at once."""
    before, after = world.case, step.case  # type: ignore[attr-defined]  # a mutant's own Step
    if before.resolution is not None and after.resolution != before.resolution:
        world.violations.append("resolution changed")
    world.case = after
    for key in step.cancels:  # type: ignore[attr-defined]  # as above
        world.waiting = [effect for effect in world.waiting if effect.key != key]
    for effect in step.effects:  # type: ignore[attr-defined]  # as above
        if effect.key in world.asked_keys and not isinstance(effect, REPEATABLE):
            world.violations.append(f"asked twice: {effect.key}")
        world.asked_keys.append(effect.key)
        world.waiting.append(effect)
        if isinstance(effect, HandOver):
            _judge_hand_over(world, effect)
        elif isinstance(effect, Quarantine):
            world.locked.append(effect.attempt_ref)


def _judge_hand_over(world: World, effect: HandOver) -> None:
    if effect.attempt_ref in world.locked:
        world.violations.append("locked goods handed over")
    world.handed_over.append(effect.attempt_ref)
    if len(dict.fromkeys(world.handed_over)) > 1:
        world.violations.append("two attempts handed over")


def _perform(world: World, effect: Effect) -> None:
    match effect:
        case Claim():
            status = ("granted",) * 12 + ("denied", "already_delivered")
            answer = ClaimAnswered(
                effect.key,
                effect.takeover_id,
                status[world.choose(len(status))],
                world.now_ms,
                paid=world.choose(12) > 0,
                sku="s",
                amount_minor=100,
            )
            world.heard_later.append(answer)
        case HandOver():
            outcome = ("delivered", "already_delivered", "refused")[world.choose(3)]
            world.heard_later.append(
                HandOverAnswered(effect.key, effect.takeover_id, outcome, world.now_ms)
            )
        case Submit():
            _submit(world, effect)
        case Query():
            _query(world, effect)
        case _:
            pass


def _submit(world: World, effect: Submit) -> None:
    """Send the one request; at most one attempt of an order may ever buy."""
    if effect.channel == "staff":
        return _say(world, effect, "accepted")
    knows_refs = effect.channel == "twice"  # and the network repeated the request
    arrives_ms = (world.now_ms, world.now_ms + 1 + world.choose(SETTLE_MS - 1), None)[
        world.choose(3)
    ]
    fate = Fate(arrives_ms, is_buying=world.choose(3) > 0)
    world.fates[effect.attempt_ref] = fate
    _judge_purchases(world)
    if arrives_ms != world.now_ms or world.choose(2):
        return _say(world, effect, "unknown")
    if fate.is_buying:
        said = ("delivered", "accepted", "duplicate")[world.choose(3 if knows_refs else 2)]
        return _say(world, effect, said)
    return _say(world, effect, "rejected")


def _judge_purchases(world: World) -> None:
    buyers = [fate for fate in world.fates.values() if fate.is_buying and fate.arrives_ms]
    if len(buyers) > 1 and not world.is_excused:
        world.violations.append("bought twice")


def _query(world: World, effect: Query) -> None:
    fate = world.fates.get(effect.attempt_ref)
    if fate is None or world.choose(5) == 0:
        return _say(world, effect, "unknown")
    if effect.channel == "again":
        return _replay(world, effect, fate)
    if fate.arrives_ms is None or fate.arrives_ms > world.now_ms:
        return _say(world, effect, "not_found")
    if not fate.is_buying:
        return _say(world, effect, "rejected")
    if not fate.has_lied and world.choose(3) == 0:
        fate.has_lied = True
        return _say(world, effect, "not_found")
    return _say(world, effect, ("delivered", "accepted")[world.choose(2)])


def _replay(world: World, effect: Query, fate: Fate) -> None:
    """Ask by sending the same request again: it may be refused though the first one bought (R1)."""
    if world.choose(3) == 0:
        return _say(world, effect, "rejected", is_query=False)
    if fate.arrives_ms is None or fate.arrives_ms > world.now_ms:
        fate.arrives_ms, fate.is_buying = world.now_ms, True
        _judge_purchases(world)
    outcome = "delivered" if fate.is_buying else "unknown"
    return _say(world, effect, outcome, is_query=False)


def _say(
    world: World, effect: Submit | Query, outcome: str, *, is_query: bool | None = None
) -> None:
    retry = ("other", "never", "same")[world.choose(3)]
    answer = AttemptAnswered(
        effect.key,
        effect.takeover_id,
        effect.attempt_ref,
        outcome,
        world.now_ms,
        is_query=isinstance(effect, Query) if is_query is None else is_query,
        code="no" if outcome == "rejected" else None,
        retry=retry,
        blame=("channel", "order")[world.choose(2)],
        goods_count=1 if outcome == "delivered" else 0,
        goods_digest=effect.attempt_ref if outcome == "delivered" else None,
    )
    world.heard_later.append(answer)
