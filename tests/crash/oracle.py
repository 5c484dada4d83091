"""What the ledgers say about a round: the damage, by name, and what it cost people.

Nothing here asks the monitor. Only `promised_to_a_person` takes its word for who has an order, and
compares it with what the shop knows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from monitor.adapters.storage.sqlite_schema import connect_reader
from monitor.adapters.storage.sqlite_takeovers import moved_cases
from monitor.model.takeovers import CaseState
from monitor.model.times import SECOND_MS
from tests.crash import stage
from tests.crash.faults import CLOCK_MS
from tests.crash.ledger import Fact, facts_of
from tests.crash.shop import customer_of


class Verdict(msgspec.Struct):
    """What a round came to; `wrongs` must be empty."""

    orders: int = 0
    bought_twice: int = 0
    wrongs: list[str] = []
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    slowest_s: float = 0.0  # from paid to the end, people included
    doubt_s: float = 0.0  # the longest that an outcome was unknown and nobody was told
    kills: Counter[str] = msgspec.field(default_factory=Counter)


def judge(path: Path) -> Verdict:
    """Read a ledger to its end."""
    facts = list(facts_of(path))
    verdict = Verdict(orders=sum(one.kind == "paid" for one in facts))
    twice = list(_bought_twice(facts))
    verdict.bought_twice = len(twice)
    verdict.wrongs += [f"bought twice: {one}" for one in twice]
    verdict.wrongs += _shared(facts)
    verdict.wrongs += _offers(facts)
    verdict.wrongs += _ends(facts, verdict)
    verdict.wrongs += _given(facts)
    verdict.wrongs += _paid_back(facts)
    verdict.wrongs += [
        f"an event was refused: {one.detail}" for one in facts if one.kind == "refused"
    ]
    verdict.kills.update(f"out/{one.who}" for one in facts if one.kind == "kill")
    return verdict


def _bought_twice(facts: list[Fact]) -> Iterator[str]:
    bought: dict[str, list[Fact]] = defaultdict(list)
    for one in facts:
        if one.kind == "bought":
            bought[one.order_id].append(one)
    for order_id, purchases in bought.items():
        if len(purchases) > 1:
            yield f"{order_id} from {', '.join(one.who for one in purchases)}"


def _shared(facts: list[Fact]) -> list[str]:
    """Keys that went to two buyers, whoever mixed them up."""
    owners: dict[str, set[str]] = defaultdict(set)
    for one in facts:
        if one.kind == "delivered":
            for key in one.goods:
                owners[key].add(one.order_id)
    return [f"{key} went to {sorted(found)}" for key, found in owners.items() if len(found) > 1]


def _offers(facts: list[Fact]) -> list[str]:
    """Hand-overs: the same bytes on every repeat, only goods that were bought for this order."""
    wrongs = []
    bodies: dict[str, set[str]] = defaultdict(set)
    bought: dict[str, set[str]] = defaultdict(set)
    fences: dict[str, int] = {}
    for one in facts:
        if one.kind == "bought":
            bought[one.order_id].update(one.goods)
        elif one.kind == "claim":
            fences[one.order_id] = max(fences.get(one.order_id, 0), one.fence)
        elif one.kind == "offered":
            bodies[one.ref].add(one.detail)
            foreign = [key for key in one.goods if not key.startswith("POOL")]
            if not bought[one.order_id].issuperset(foreign):
                wrongs.append(f"goods of somebody else were offered for {one.order_id}")
            if one.fence != fences.get(one.order_id):
                wrongs.append(f"an old fence was offered for {one.order_id}")
    wrongs += [
        f"{ref} was handed over in two ways" for ref, found in bodies.items() if len(found) > 1
    ]
    return wrongs


def _ends(facts: list[Fact], verdict: Verdict) -> list[str]:
    """Every order ends once, and in time."""
    paid = {one.order_id: one.at_ms for one in facts if one.kind == "paid"}
    ends: dict[str, list[Fact]] = {order_id: [] for order_id in paid}
    for one in facts:
        if one.kind in ("delivered", "refunded"):
            ends[one.order_id].append(one)
    wrongs = []
    for order_id, found in ends.items():
        if not found:
            wrongs.append(f"forgotten: {order_id}")
        elif len(found) > 1:
            wrongs.append(f"ended twice: {order_id}")
        for one in found:
            by = "fallback" if one.ref.startswith("tko") else one.ref
            verdict.ends[by] += 1
            verdict.slowest_s = max(verdict.slowest_s, (one.at_ms - paid[order_id]) / 1_000)
    return wrongs


def _given(facts: list[Fact]) -> list[str]:
    """Coupons: one per order, one per buyer, together no more than the budget, and never reworded."""
    given = [one for one in facts if one.kind == "given" and one.who != "repeat"]
    wrongs = []
    for what, named in (("order", lambda one: one.order_id), ("buyer", _buyer_of)):
        counts = Counter(map(named, given))
        wrongs += [
            f"{count} coupons for {what} {name}" for name, count in counts.items() if count > 1
        ]
    total = sum(one.amount_minor for one in given)
    if total > stage.BUDGET_MINOR:
        wrongs.append(f"over budget: coupons of {total}")
    words: dict[str, set[str]] = defaultdict(set)
    for one in facts:
        if one.kind in ("told", "given", "back"):
            words[one.ref].add(one.detail)
    wrongs += [f"{ref} was asked for in two ways" for ref, found in words.items() if len(found) > 1]
    return wrongs


def _buyer_of(fact: Fact) -> str:
    return customer_of(fact.order_id)


def _paid_back(facts: list[Fact]) -> list[str]:
    """A refund of ours and a delivery of ours are never both tried."""
    back, taken = dict[str, None](), dict[str, None]()
    wrongs = []
    for one in facts:
        if one.kind == "back":
            back[one.order_id] = None
            if one.order_id in taken:
                wrongs.append(f"{one.order_id} was delivered, then a refund: both were tried")
        elif one.kind == "offered" and one.order_id in back:
            wrongs.append(f"{one.order_id} was paid back, then offered: both were tried")
        elif one.kind == "delivered" and one.ref.startswith("tko"):
            taken[one.order_id] = None
    return wrongs


def longest_doubt_s(path: Path) -> float:
    """How long a case was unknown until it was resolved or given to a person; by the monitor's log."""
    since: dict[str, int] = {}
    longest_ms = 0
    with closing(connect_reader(path)) as sql:
        query = "SELECT body FROM segments WHERE kind = 'decisions' ORDER BY position"
        for (body,) in sql.execute(query):
            for case in moved_cases(body):
                if case.state == CaseState.UNKNOWN:
                    since.setdefault(case.takeover_id, case.changed_ms)
                elif case.takeover_id in since:
                    apart_ms = case.changed_ms - since.pop(case.takeover_id)
                    longest_ms = max(longest_ms, _by_right_clock(apart_ms))
    return longest_ms / SECOND_MS


def _by_right_clock(apart_ms: int) -> int:
    """The time between two lives of which one may have had a wrong clock; no doubt lasts so long."""
    half_ms = CLOCK_MS // 2
    return (apart_ms + half_ms) % CLOCK_MS - half_ms


def opaque_first(path: Path) -> list[str]:
    """Orders for which the supplier that can never be asked came before one that can.

    By the attempts on disk: a request that a kill kept from leaving is in no ledger.
    """
    with closing(connect_reader(path)) as sql:
        rows = sql.execute(
            "SELECT order_id FROM attempts AS late JOIN takeovers USING (takeover_id)"
            " WHERE channel = 'opaque' AND NOT EXISTS (SELECT 1 FROM attempts AS early"
            " WHERE early.takeover_id = late.takeover_id AND early.number < late.number"
            " AND early.channel = 'queryable')"
        )
        return [f"opaque first: {order_id}" for (order_id,) in rows]
