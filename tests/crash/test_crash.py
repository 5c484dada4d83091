"""Crash harness: real processes, SIGKILL at every named point, shop and suppliers as witnesses.

A minute by default, of two rounds; ten thousand orders and five hundred kills, and every planted
bug:

    make crash
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.crash_round import Outcome, Plan, Process, Round
from tests.crash.mutants import MUTANTS, NAIVE, SIMULATED
from tests.crash.points import POINTS
from tests.crash.stage import CLASSES
from tests.durability.promise import is_time_up, keep
from tests.sim import mutants as simulated

ORDERS = int(os.environ.get("DELIVERY_MONITOR_ORDERS", "0"))
KILLS = int(os.environ.get("DELIVERY_MONITOR_KILLS", "500"))
SEED = int(os.environ.get("DELIVERY_MONITOR_SEED", "1"))
ALL_MUTANTS = os.environ.get("DELIVERY_MONITOR_MUTANTS") == "all"
ROUND_ORDERS = 500
PERSONS_MAX = {"idempotent": 0.01, "queryable": 0.01, "detectable": 0.35, "opaque": 0.15}
NAIVE_SHARE_MIN = 1 / 10  # of orders bought twice; one in six, give or take


@pytest.fixture(scope="module")
def nursery() -> Iterator[Process]:
    """Where the services are born."""
    process = Process("tests.crash.nursery")
    yield process
    process.end()


async def lived(plan: Plan, folder: Path, nursery: Process) -> Outcome:
    """A round, and a line about it."""
    outcome = await Round(plan, folder, nursery).run()
    verdict = outcome.verdict
    starts = sorted(outcome.start_s)
    print(
        f"\n{plan.capability} seed {plan.seed}: {verdict.orders} orders, "
        f"{outcome.kills.total()} kills, {len(outcome.persons)} to a person, slowest "
        f"{verdict.slowest_s:.0f} s, in doubt {verdict.doubt_s:.0f} s, start {starts[len(starts) // 2] if starts else 0:.2f} s, "
        f"{outcome.seconds:.0f} s; {dict(outcome.clocks)}; {dict(verdict.ends)}; {verdict.wrongs[:5]}",
        flush=True,
    )
    return outcome


def wrongs_of(outcome: Outcome) -> list[str]:
    """What the books say, and too many calls for people."""
    verdict = outcome.verdict
    capability = outcome.plan.capability
    asked = [why for why in outcome.persons.values() if why != "goods_sold_before"]
    wrongs = list(verdict.wrongs)
    if not ORDERS:
        return wrongs  # on a machine that is busy with other tests time says nothing
    # Where the money goes back soon, people are not asked for long.
    if not outcome.plan.refunds and len(asked) > max(3, PERSONS_MAX[capability] * verdict.orders):
        wrongs.append(f"{len(asked)} of {verdict.orders} went to a person: {sorted(set(asked))}")
    if verdict.doubt_s > outcome.plan.patience_s:
        wrongs.append(f"an outcome was unknown for {verdict.doubt_s:.0f} s, and nobody was told")
    return wrongs


def plans() -> list[Plan]:
    """Two short rounds, or as many as `make crash` wants."""
    if not ORDERS:
        return [Plan(seed=SEED, capability=one, orders=80, kills=6, per_s=14.0, scale=45,
                     first_point=first, refunds=first > 0)
                for one, first in (("idempotent", 0), ("queryable", 6))]  # fmt: skip
    rounds = max(len(CLASSES), ORDERS // ROUND_ORDERS)
    kills = -(-KILLS // rounds)
    return [
        Plan(seed=SEED * 1_000 + number, capability=CLASSES[number % len(CLASSES)], scale=15,
             orders=-(-ORDERS // rounds), kills=kills, per_s=20.0, first_point=number * kills,
             refunds=number // len(CLASSES) % 2 == 1)
        for number in range(rounds)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(7_200 if ORDERS else 300)
async def test_kills_at_named_points_buy_nothing_twice_and_forget_nobody(
    tmp_path: Path, nursery: Process
) -> None:
    """What suppliers sold, what the shop took, and the self-audit agree, round after round."""
    outcomes: list[Outcome] = []
    for number, plan in enumerate(plans()):
        outcomes.append(await lived(plan, tmp_path / str(number), nursery))
        assert outcomes[-1].kills.total() == plan.kills
        if is_time_up():
            break
    wrongs = [wrong for one in outcomes for wrong in wrongs_of(one)]
    _summed_up(outcomes, wrongs)
    assert wrongs == []


def _summed_up(outcomes: list[Outcome], wrongs: list[str]) -> None:
    """Print the whole and keep the figure."""
    kills = sum((one.kills for one in outcomes[1:]), outcomes[0].kills.copy())
    orders = sum(one.verdict.orders for one in outcomes)
    doubt_s = max(one.verdict.doubt_s * one.plan.scale for one in outcomes)
    clear = [one for one in outcomes
             if one.plan.capability in ("idempotent", "queryable") and not one.plan.refunds]  # fmt: skip
    asked = sum(why != "goods_sold_before" for one in clear for why in one.persons.values())
    share = asked / max(1, sum(one.verdict.orders for one in clear))
    never = sorted(set(POINTS) - set(kills))
    note = (
        f"{kills.total()} kills at {len(kills)} of {len(POINTS)} points; {share:.2%} to a person "
        f"where a channel can be asked; in doubt for at most {doubt_s / 60:.0f} min, to scale"
    )
    print(f"\n{orders} orders, {note}; never reached: {never}; {dict(kills)}", flush=True)
    keep("P31", tried=orders, violations=len(wrongs), note=note)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("rule", MUTANTS if ALL_MUTANTS else [NAIVE])
async def test_bug_that_breaks_a_rule_is_noticed(
    rule: str, tmp_path: Path, nursery: Process
) -> None:
    """A round with the bug says what it breaks, in words that name the damage."""
    mutant = MUTANTS[rule]
    plan = Plan(seed=SEED, capability=mutant.capability, orders=mutant.orders, kills=mutant.kills,
                per_s=14.0, mutant=rule, scale=45, gives_up=True,
                late_primary=mutant.late_primary)  # fmt: skip
    outcome = await lived(plan, tmp_path / "round", nursery)
    assert any(mutant.words in one for one in outcome.verdict.wrongs), outcome.verdict.wrongs
    if rule == NAIVE:  # the harness can fail: about every sixth order is bought twice
        assert outcome.verdict.bought_twice >= NAIVE_SHARE_MIN * outcome.verdict.orders


RULES = (
    "an unknown outcome is never tried again",
    NAIVE,
    "a hand-over carries the fence of its claim",
    "no write under an old lease",
    "the intent is on disk before the first byte",
    "the settle time is waited for",
    "one not found is none",
    "a refused replay proves nothing",
    "a resolution is written once",
    "goods in quarantine are handed to nobody",
    "a key is given once",
    "opaque channels come last",
    "ownership comes first",
    "a submit is sent at most once",
    "a buyer has one coupon a month",
    "an action keeps its name",
    "a budget is kept",
)


def test_every_rule_has_a_bug_that_somebody_notices() -> None:
    """In a round of the harness, or in the simulation by a mutant that exists there."""
    assert set(RULES) <= {*MUTANTS, *SIMULATED}
    assert set(SIMULATED.values()) <= {one.name for one in simulated.MUTANTS}
