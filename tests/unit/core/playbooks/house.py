"""A shop with playbooks that act, and a story about its orders."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.model.effects import Effect, Notify
from monitor.model.playbooks import (
    Action,
    CouponStep,
    NotifyStep,
    OfferStep,
    PageStep,
    Playbook,
    Playbooks,
    ResolveStep,
    TaskStep,
)
from monitor.model.records import ActionAnswered, ActionOrdered
from monitor.model.settings import (
    ChannelSettings,
    FallbackSettings,
    ReceiverSettings,
    Settings,
    WebhookSettings,
)
from monitor.testing.scenario import Scenario

DAY_MS = 86_400_000
TELL = Playbook("l1", 1, (NotifyStep("delayed_soft", ("page",)),), tier=1, is_dry_run=False)
COUPON = CouponStep(value_ppm=30_000, max_minor=200, once_per_ms=30 * DAY_MS)
CHECK = Playbook(
    "l2", 2, (ResolveStep(("fallback",)), COUPON, TaskStep("ops", 600_000)), tier=2,
    budgets={"coupon": 1_000, "fallback_cost": 50_000}, is_dry_run=False,
)  # fmt: skip
HUMAN = Playbook(
    "l3", 3, (PageStep(), OfferStep(("alternative", "refund", "wait"), 3_600_000, "refund")),
    tier=3, approval_above_minor=20_000, is_dry_run=False,
)  # fmt: skip


def settings_with(*levels: Playbook, **changes: Any) -> Settings:
    books = Playbooks(
        levels=levels,
        vip_multiplier=changes.pop("vip_multiplier", 1.0),
        batch_above=changes.pop("batch_above", 20),
        ages_ms=tuple(sorted(one.age_ms for one in levels if one.age_ms)),
        is_predicting=any(one.predicted_late for one in levels),
    )
    shop = Settings(
        playbooks=books,
        shop_takes=("notify", "compensate", "refund"),
        channels=(ChannelSettings("auto"), ChannelSettings("staff", kind="manual")),
        receivers=(ReceiverSettings("ops", ("webhook/0",)),),
        default_receiver="ops",
        breaker_every_ms=DAY_MS,  # nothing of it matters here, and stories last for days
        webhooks=(WebhookSettings("webhooks/0", ("compensation.offered",)),),
    )
    return msgspec.structs.replace(shop, **changes)


ARMED = FallbackSettings(
    mode="enforce", has_shop=True, order=("staff",), after_ms=86_400_000, max_per_hour=100
)


class House:
    """One story; what left since it was last asked, and the actions of its orders."""

    def __init__(self, *levels: Playbook, **changes: Any) -> None:
        self.story = Scenario(settings_with(*levels, **changes))
        self._seen = 0

    def at(self, time: str, *given: Any) -> House:
        """Go on to a time and hand something in."""
        self.story.at(time, *given)
        return self

    def left(self, *kinds: type) -> list[Effect]:
        """Effects since the last look, without those of tiers and takeovers."""
        effects = self.story.effects()
        fresh, self._seen = effects[self._seen :], len(effects)
        known = kinds or (object,)
        return [one for one in fresh if isinstance(one, known) and not _is_of_others(one)]

    def actions(self, order_id: str = "o1") -> dict[str, Action]:
        """The actions of an order by kind; of several of a kind the last."""
        return {one.kind: one for one in self.story.engine.shard.orders[order_id].actions}

    def states(self, order_id: str = "o1") -> dict[str, str]:
        """Where the actions of an order stand, by kind; with the reason where there is one."""
        return {
            kind: f"{one.state}: {one.reason}" if one.reason else str(one.state)
            for kind, one in self.actions(order_id).items()
        }

    def answer(self, time: str, kind: str, outcome: str, order_id: str = "o1") -> House:
        """The shop answers an action."""
        action = self.actions(order_id)[kind]
        key = f"act_{action.action_id}"
        return self.at(time, ActionAnswered(key, action.action_id, order_id, outcome, 0))

    def say(self, time: str, kind: str, decision: str, order_id: str = "o1") -> House:
        """A person says something to an action."""
        word = ActionOrdered(self.actions(order_id)[kind].action_id, decision, "ann", 0, order_id)
        return self.at(time, word)


def _is_of_others(effect: Effect) -> bool:
    if isinstance(effect, Notify):
        return not effect.event_type.startswith(("order.page", "order.task", "playbook."))
    return type(effect).__name__ in ("Claim", "Release", "Submit", "HandOver", "Quarantine")
