"""Draws what the takeover machine does, by trying everything that may come in every state it reaches.

    python -m benchmarks.takeover_diagram          writes the picture and the table of docs/takeovers.md

Nothing here knows the machine: cases are fed until no new situation appears, and each move that is
seen becomes an arrow. A test compares the page with what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from monitor.core.takeover import machine
from monitor.core.takeover.steps import Step, find_attempt
from monitor.model.effects import Query
from monitor.model.records import AttemptAnswered, CaseResolved, ClaimAnswered, HandOverAnswered
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.takeovers import TakeoverCase
from monitor.model.times import HOUR_MS, MINUTE_MS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "takeovers.md"
BEGIN, END = "<!-- drawn by benchmarks/takeover_diagram.py -->", "<!-- end of the drawing -->"
START_MS = 1_767_225_600_000
SITUATIONS_MAX = 20_000  # of a machine that never rests
CHANNELS = (
    ChannelSettings("auto"),
    ChannelSettings("asked", kind="http", capability="queryable", settle_ms=MINUTE_MS),
    ChannelSettings("blind", kind="http", capability="opaque", settle_ms=MINUTE_MS),
    ChannelSettings("staff", kind="manual"),
)
ORDERS = (("asked",), ("asked", "blind"), ("blind", "staff"), ("asked", "staff"))


class Situation(msgspec.Struct, frozen=True):
    """A case, when it is looked at, and the last question that was asked."""

    case: TakeoverCase
    now_ms: int
    query: Query | None
    settings: Settings

    @property
    def likeness(self) -> tuple[object, ...]:
        """What tells situations apart; times and names do not."""
        case = self.case
        tries = tuple((one.channel, one.state, one.not_found, one.reason) for one in case.attempts)
        return (
            self.settings.fallback.order, case.state, case.resolution, case.escalated_reason, tries,
            self.query is not None, self.now_ms >= case.claim_expires_ms, case.hand_overs > 0,
        )  # fmt: skip


Input = Callable[[Situation], Step]


def moves() -> dict[tuple[str, str], list[str]]:
    """Every move between states, with the words that lead to it, both in the order they are met."""
    found: dict[tuple[str, str], list[str]] = {}
    for before, word, after in _explored():
        words = found.setdefault((before, after), [])
        if word not in words:
            words.append(word)
    return found


def drawn() -> str:
    """The page's picture and its table."""
    found = moves()
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> claiming: stuck, and the shop can be asked",
             "    [*] --> advised: stuck, and it cannot"]  # fmt: skip
    lines += [f"    {before} --> {after}: {_short(words)}"
              for (before, after), words in sorted(found.items()) if before != after]  # fmt: skip
    lines += ["    delivered --> [*]", "    voided --> [*]"]
    lines += ["```", "", "| from | to | when |", "|---|---|---|"]
    lines += [f"| `{before}` | `{after}` | {', '.join(words)} |"
              for (before, after), words in sorted(found.items())]  # fmt: skip
    return "\n".join(lines)


def page_with(drawing: str) -> str:
    """The page with another drawing in it."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{drawing}\n{END}{tail}"


def _explored() -> Iterator[tuple[str, str, str]]:
    todo = [_opened(order) for order in ORDERS] + [_opened((), has_shop=False)]
    seen = {one.likeness for one in todo}
    while todo:
        situation = todo.pop()
        for word, feed in _inputs(situation):
            step = feed(situation)
            case = step.case
            if case is situation.case:
                continue
            yield situation.case.state, word, case.state
            asked = next((one for one in step.effects if isinstance(one, Query)), None)
            after = Situation(case, situation.now_ms, asked or situation.query, situation.settings)
            if after.likeness not in seen:
                seen.add(after.likeness)
                assert len(seen) < SITUATIONS_MAX, "the machine never rests"
                todo.append(after)


def _opened(order: tuple[str, ...], *, has_shop: bool = True) -> Situation:
    fallback = FallbackSettings(mode="enforce", order=order, has_shop=has_shop)
    settings = Settings(channels=CHANNELS, fallback=fallback)
    step = machine.open_case(
        order_id="o1", held_by_channel="auto", sku="gold", quantity=1, amount_minor=500,
        currency="CNY", region=None, fence=1, settings=settings, now_ms=START_MS,
    )  # fmt: skip
    return Situation(step.case, START_MS, None, settings)


def _inputs(situation: Situation) -> Iterator[tuple[str, Input]]:
    """Whatever may come in now."""
    for status in ("granted", "already_delivered", "denied"):
        yield f"claim {status}", partial(_claimed, status=status)
    for outcome in ("delivered", "accepted", "rejected", "unknown", "not_found"):
        yield f"channel {outcome}", partial(_answered, outcome=outcome)
    yield "channel rejected for now", partial(_answered, outcome="rejected", retry="same")
    for outcome in ("delivered", "already_delivered", "refused"):
        yield f"hand-over {outcome}", partial(_handed, outcome=outcome)
    for kind in ("delivered", "refunded", "cancelled"):
        yield f"shop {kind}", partial(_finished, kind=kind)
    for said in ("delivered", "refunded", "alternative", "not_delivered", "cancelled"):
        yield f"person {said}", partial(_decided, said=said)
    if situation.case.wake_ms is not None:
        yield "time", _woken
        yield "time", partial(_woken, later_ms=3 * HOUR_MS)


def _finished(at: Situation, kind: str) -> Step:
    return machine.on_order_finished(at.case, kind, None, at.now_ms)


def _decided(at: Situation, said: str) -> Step:
    word = CaseResolved(at.case.takeover_id, said, "ann", at.now_ms)
    return machine.on_person(at.case, word, at.settings, at.now_ms)


def _claimed(at: Situation, status: str) -> Step:
    answer = ClaimAnswered(f"claim_{at.case.claim_id}", at.case.takeover_id, status, at.now_ms,
                           paid=True, sku="gold", quantity=1, amount_minor=500)  # fmt: skip
    return machine.on_claim(at.case, answer, at.settings, at.now_ms)


def _answered(at: Situation, outcome: str, retry: str = "other") -> Step:
    """The answer to the last question, or to the submit while none was asked."""
    if not at.case.attempts:
        return Step(at.case)
    attempt = at.case.attempts[-1]
    is_query = at.query is not None and find_attempt(at.case, at.query.attempt_ref) is attempt
    key = at.query.key if is_query and at.query is not None else f"submit_{attempt.ref}"
    has_goods = outcome == "delivered"
    at_ms = max(at.now_ms, attempt.settle_until_ms)  # so that not found counts
    answer = AttemptAnswered(
        key, at.case.takeover_id, attempt.ref, outcome, at_ms, is_query=is_query,
        code="no" if outcome == "rejected" else None, retry=retry, goods_count=int(has_goods),
        goods_digest="d" if has_goods else None,
    )  # fmt: skip
    return machine.on_attempt(at.case, answer, at.settings, at.now_ms)


def _handed(at: Situation, outcome: str) -> Step:
    answer = HandOverAnswered("k", at.case.takeover_id, outcome, at.now_ms)
    return machine.on_hand_over(at.case, answer, at.settings, at.now_ms)


def _woken(at: Situation, later_ms: int = 0) -> Step:
    at_ms = max(at.now_ms + later_ms, at.case.wake_ms or 0)
    return machine.on_wake(at.case, at.settings, at_ms)


def _short(words: list[str]) -> str:
    return ", ".join(words[:3]) + (" …" if len(words) > 3 else "")


if __name__ == "__main__":
    PAGE.write_text(page_with(drawn()), encoding="utf-8")
    print(f"{len(moves())} moves are drawn in {PAGE.name}")
