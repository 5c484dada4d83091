"""The rules of a takeover, the bug that breaks each, and who notices it.

`harness` is a round of the crash harness with the bug planted in the service, `simulation` a bug of
`tests/sim/mutants.py`. Each is one that a tired person could write.
"""

from __future__ import annotations

import msgspec

from tests.sim.planting import Change

LEARNING = "monitor.core.takeover.learning"
HTTP = "monitor.adapters.channels.http:HttpSupplier"
NAIVE = "a timeout or a crash counts as failed"


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One planted bug; `words` are a part of what the oracle says in a round of `capability`."""

    rule: str
    changes: tuple[Change, ...]
    words: str
    capability: str
    orders: int = 200
    kills: int = 4
    late_primary: float = 0.06


def _mutant(
    rule: str, *changes: tuple[str, str, str], words: str, capability: str, **more: float
) -> tuple[str, Mutant]:
    planted = tuple(Change(*one) for one in changes)
    facts = {"rule": rule, "changes": planted, "words": words, "capability": capability, **more}
    return rule, msgspec.convert(facts, Mutant)


# What an executor does that takes every exception for a failure and goes to the next channel.
_FAILED = (
    f"{LEARNING}:learn",
    "            return _unknown(attempt, answer, channel) if is_first else attempt\n",
    "            return _rejected(attempt, answer) if is_first else attempt\n",
)

MUTANTS = dict((
    _mutant(NAIVE, _FAILED, words="bought twice", capability="queryable", orders=80, kills=3),
    _mutant(
        "an unknown outcome is never tried again",
        (
            f"{HTTP}.submit",
            "            return msgspec.structs.replace(answer, detail=str(error))\n",
            "            http_answer = await self._send(self._channel.submit, values, now_ms)\n",
        ),
        words="bought twice", capability="queryable",
    ),
    _mutant(
        "the intent is on disk before the first byte",
        (
            "monitor.adapters.storage.sqlite_outbox:claim",
            "[(SENT, session, now_ms + lease_ms, row.key) for row in rows]", "[]",
        ),
        words="bought twice", capability="queryable", kills=16,
    ),
    _mutant(
        "the settle time is waited for",
        (f"{LEARNING}:settle_of", "    return max(", "    return 1 or max("),
        words="bought twice", capability="queryable",
    ),
    _mutant(
        "one not found is none",
        (f"{LEARNING}:_not_found", "not_found >= NOT_FOUND_NEEDED", "not_found >= 1"),
        words="bought twice", capability="queryable",
    ),
    _mutant(
        "a refused replay proves nothing",
        (
            f"{HTTP}.query",
            '        if is_replay and understood.outcome in ("rejected", "not_found"):\n',
            "        understood = msgspec.structs.replace(understood, is_query=True)\n        if False:\n",
        ),
        words="bought twice", capability="idempotent",
    ),
    _mutant(
        "a hand-over carries the fence of its claim",
        (
            "monitor.core.takeover.steps:hand_over_effect",
            "        fence=case.fence,\n", "        fence=case.fence - 1,\n",
        ),
        words="an old fence", capability="idempotent", kills=1, orders=30,
    ),
    _mutant(
        "a resolution is written once",
        (
            "monitor.core.takeover.machine:on_order_finished",
            "    handler = TABLE[case.state].finished\n",
            """    from msgspec.structs import replace
    case = replace(case, resolution=None)
    handler = TABLE[case.state].finished or TABLE[CaseState.CLAIMED].finished
""",
        ),
        words="closed case", capability="idempotent", kills=2, orders=30,
    ),
    _mutant(
        "goods in quarantine are handed to nobody",
        (
            "monitor.core.takeover.machine:on_attempt",
            "    handler = TABLE[case.state].attempt\n",
            """    handler = TABLE[case.state].attempt
    if case.state == CaseState.VOIDED and answer.outcome == "delivered":
        from monitor.core.takeover.steps import start_hand_over
        return start_hand_over(case, case.attempts[-1], now_ms)
""",
        ),
        words="closed case", capability="queryable", late_primary=0.6,
    ),
    _mutant(
        "a key is given once",
        ("monitor.adapters.vault:_give", "    if given or", "    if"),
        words="went to", capability="idempotent", kills=1, orders=400,
    ),
    _mutant(
        "opaque channels come last",
        (
            "monitor.core.takeover.choosing:_opaque_last",
            "is_opaque(channel), index", "not is_opaque(channel), index",
        ),
        words="opaque first", capability="opaque", kills=1, orders=40,
    ),
    _mutant(
        "a buyer has one coupon a month",
        (
            "monitor.core.playbooks.deciding:_had_one",
            "    return about.ledger.had_lately", "    return False and about.ledger.had_lately",
        ),
        words="coupons for buyer", capability="queryable",
    ),
    _mutant(
        "an action keeps its name",
        (
            "monitor.adapters.shop:Shop._act",
            '"action_id": effect.action_id, **body',
            '"action_id": f"{effect.action_id}{now_ms}", **body',
        ),
        words="coupons for order", capability="queryable",
    ),
    _mutant(
        "a budget is kept",
        ("monitor.core.playbooks.money:Ledger.room", "self._sums.get(key, 0)", "0"),
        words="over budget", capability="queryable",
    ),
))  # fmt: skip

# The same rules, and others, in the deterministic simulation (`tests/sim/mutants.py`).
SIMULATED = {
    "an unknown outcome is never tried again": "buys again when no answer came",
    NAIVE: "takes a crash for a no",
    "the intent is on disk before the first byte": "does not mark what is under way",
    "a submit is sent at most once": "every purchase is repeatable",
    "no write under an old lease": "writes on without the lease",
    "ownership comes first": "buys without asking the shop",
    "goods are safe before anybody is told": "reports goods before they are in the vault",
    "a unit belongs to one order": "hands one unit of the pool to everybody",
    "money has a limit": "spends without a limit",
}
