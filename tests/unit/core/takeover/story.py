"""A transcript of one takeover: what comes in, line by line, and what the machine asks for."""

from __future__ import annotations

import msgspec

from monitor.core.takeover.machine import (
    on_attempt,
    on_claim,
    on_hand_over,
    on_order_finished,
    on_person,
    on_wake,
    open_case,
)
from monitor.core.takeover.steps import Step
from monitor.model.effects import Effect, Query, Submit
from monitor.model.records import AttemptAnswered, CaseResolved, ClaimAnswered, HandOverAnswered
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.takeovers import Attempt, TakeoverCase

START_MS = 1_000_000
SETTLE_MS = 30_000
CHANNELS = (
    ChannelSettings(name="auto", kind="external"),
    ChannelSettings(name="asked", kind="http", capability="queryable", settle_ms=SETTLE_MS),
    ChannelSettings(name="again", kind="http", capability="idempotent", settle_ms=SETTLE_MS),
    ChannelSettings(name="blind", kind="http", capability="opaque", settle_ms=SETTLE_MS),
    ChannelSettings(name="followed", kind="http", capability="detectable", is_followed=True),
    ChannelSettings(name="dark", kind="http", capability="opaque", settle_ms=SETTLE_MS),
    ChannelSettings(name="twice", kind="http", capability="detectable", settle_ms=SETTLE_MS),
    ChannelSettings(name="pool", kind="stock"),
    ChannelSettings(name="staff", kind="manual"),
)


def settings_with(*order: str, max_loss_minor: int = 0, has_shop: bool = True) -> Settings:
    fallback = FallbackSettings(order=order, max_loss_minor=max_loss_minor, has_shop=has_shop)
    return Settings(channels=CHANNELS, fallback=fallback)


class Story:
    """Feeds one case; every method returns the keys' kinds of the effects that came out."""

    def __init__(self, *order: str, has_shop: bool = True, held_by: str = "auto") -> None:
        self.settings = settings_with(*order, has_shop=has_shop)
        self.now_ms = START_MS
        step = open_case(
            order_id="o1",
            held_by_channel=held_by,
            sku="event-sku",
            quantity=9,
            amount_minor=1,
            currency="CNY",
            region="CN",
            fence=7,
            settings=self.settings,
            now_ms=START_MS,
        )
        self.case: TakeoverCase = step.case
        self.effects: list[Effect] = list(step.effects)
        self.last = step

    def _took(self, step: Step) -> list[str]:
        self.last = step
        self.case = step.case
        self.effects.extend(step.effects)
        return [type(effect).__name__ for effect in step.effects]

    @property
    def attempt(self) -> Attempt:
        return self.case.attempts[-1]

    def newest(self, kind: type[Effect]) -> Effect:
        return next(effect for effect in reversed(self.effects) if isinstance(effect, kind))

    def claim(self, status: str = "granted", **more: object) -> list[str]:
        answer = ClaimAnswered(
            effect_key=f"claim_{self.case.claim_id}",
            takeover_id=self.case.takeover_id,
            status=status,
            at_ms=self.now_ms,
            paid=True,
            sku="s1",
            quantity=1,
            amount_minor=500,
        )
        answer = msgspec.structs.replace(answer, **more)
        return self._took(on_claim(self.case, answer, self.settings, self.now_ms))

    def answer(self, outcome: str, of: Attempt | None = None, **more: object) -> list[str]:
        """The submit's answer, to the newest attempt unless told otherwise."""
        return self._answered(of or self.attempt, outcome, "submit", more)

    def reply(self, outcome: str, of: Attempt | None = None, **more: object) -> list[str]:
        """The newest question's answer."""
        return self._answered(of or self.attempt, outcome, "query", more)

    def _answered(
        self, attempt: Attempt, outcome: str, kind: str, more: dict[str, object]
    ) -> list[str]:
        key = f"submit_{attempt.ref}"
        if kind == "query":
            key = self.newest(Query).key
        has_goods = outcome == "delivered"
        answer = AttemptAnswered(
            effect_key=key,
            takeover_id=self.case.takeover_id,
            attempt_ref=attempt.ref,
            outcome=outcome,
            at_ms=self.now_ms,
            is_query=kind == "query",
            code="no" if outcome == "rejected" else None,
            goods_count=1 if has_goods else 0,
            goods_digest="d" if has_goods else None,
        )
        answer = msgspec.structs.replace(answer, **more)
        return self._took(on_attempt(self.case, answer, self.settings, self.now_ms))

    def hand_over(self, outcome: str) -> list[str]:
        answer = HandOverAnswered("k", self.case.takeover_id, outcome, self.now_ms)
        return self._took(on_hand_over(self.case, answer, self.settings, self.now_ms))

    def finished(self, kind: str, takeover_id: str | None = None) -> list[str]:
        return self._took(on_order_finished(self.case, kind, takeover_id, self.now_ms))

    def person(self, resolution: str) -> list[str]:
        order = CaseResolved(self.case.takeover_id, resolution, "ann", self.now_ms)
        return self._took(on_person(self.case, order, self.settings, self.now_ms))

    def wait(self, duration_ms: int) -> list[str]:
        self.now_ms += duration_ms
        return self._took(on_wake(self.case, self.settings, self.now_ms))

    def wake(self) -> list[str]:
        """Wait exactly as long as the machine asked for."""
        assert self.case.wake_ms is not None
        return self.wait(max(0, self.case.wake_ms - self.now_ms))

    def submitted_to(self) -> list[str]:
        return [effect.channel for effect in self.effects if isinstance(effect, Submit)]


def story_in(state: str) -> Story:
    """A case that has just reached the state, with `asked` and then `again` to deliver."""
    story = Story("asked", "again", has_shop=state != "advised")
    if state in ("advised", "claiming"):
        return story
    if state == "voided":
        story.claim("already_delivered")
        return story
    if state == "escalated":
        story.claim("denied")
        return story
    story.claim()
    match state:
        case "claimed":
            story.answer("rejected", retry="same")
        case "accepted" | "unknown":
            story.answer(state)
        case "handing_over":
            story.answer("delivered")
        case "delivered":
            story.answer("delivered")
            story.hand_over("delivered")
    assert story.case.state == state
    return story
