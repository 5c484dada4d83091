"""Playbooks: what is done for a buyer who waits, level by level, and the actions it leads to.

    waiting ──► sent ──► open ──► done          open: an offer before the buyer, a task with a person
       │          └──► failed                   failed: the shop refused, or was never heard
       ├──► skipped                             skipped: a limit said no; `reason` is which
       └──► cancelled                           cancelled: delivered, refunded, or a person said no

In a dry run an action is `would` at once and nothing leaves. The steps are data: an action carries
its own, so that a reload does not change what waits. `core/playbooks` decides.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.model.times import MINUTE_MS

PERSON_QUEUE = "ops"
OUTAGE = "outage"  # the template of all messages to buyers while many wait

# --- what a playbook says ---------------------------------------------------------------------------


class NotifyStep(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do", tag="notify_buyer"
):
    """Tell the buyer, in the words of a template; `channels` are the shop's own names."""

    template: str
    channels: tuple[str, ...] = ()


class CouponStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do", tag="coupon"):
    """Give the buyer something: a fixed amount, or a share of the order's in millionths, at most so much."""

    value_minor: int | None = None
    value_ppm: int | None = None
    max_minor: int | None = None
    once_per_ms: int | None = None  # for one buyer


class ResolveStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do", tag="resolve"):
    """Have the order delivered; `order` are the ways, the first that is open is taken."""

    order: tuple[str, ...]


class TaskStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do", tag="task"):
    """Ask a person of a queue to look; who has not solved it within `sla_ms` has the order paged."""

    queue: str = PERSON_QUEUE
    sla_ms: int | None = None


class PageStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do", tag="page"):
    """Call a person now."""

    policy: str = "oncall"


class OfferStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do", tag="offer"):
    """Let the buyer choose: alternative, refund, wait. Without a word `default` stands at the end."""

    choices: tuple[str, ...]
    expires_ms: int
    default: str


class RefundStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="do", tag="refund"):
    """Have the order paid back."""


Step = NotifyStep | CouponStep | ResolveStep | TaskStep | PageStep | OfferStep | RefundStep


class QuietHours(msgspec.Struct, frozen=True):
    """Minutes of the shop's day between which buyers are not told anything; may span midnight."""

    start_minute: int
    end_minute: int


class Playbook(msgspec.Struct, frozen=True):
    """One level: it begins when any of its conditions holds, and does its steps once.

    `age_ms` stretches with long promises as the tiers do and is shorter for VIPs. `budgets` are
    amounts a day by what they are for: coupon, fallback_cost. Money above `approval_above_minor`
    waits for a person; None never does.
    """

    name: str
    level: int
    steps: tuple[Step, ...]
    tier: int | None = None
    age_ms: int | None = None
    predicted_late: float | None = None
    budgets: dict[str, int] = {}
    approval_above_minor: int | None = None
    is_dry_run: bool = True
    on_failure: str = "escalate"  # escalate, skip
    quiet_hours: QuietHours | None = None


class Playbooks(msgspec.Struct, frozen=True):
    """All levels in their order, and when orders must be looked at for them besides their tiers.

    `ages_ms` are the ages of conditions, those of VIPs included, before they stretch.
    """

    levels: tuple[Playbook, ...] = ()
    vip_multiplier: float = 1.0
    batch_above: int = (
        20  # so many orders that reach a level within `batch_window_ms` are one batch
    )
    batch_window_ms: int = 10 * MINUTE_MS
    ages_ms: tuple[int, ...] = ()
    is_predicting: bool = False


# --- what became of it ------------------------------------------------------------------------------


class ActionState(StrEnum):
    """Where an action stands; the last five are final."""

    WAITING = "waiting"
    SENT = "sent"
    OPEN = "open"
    WOULD = "would"
    DONE = "done"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    FAILED = "failed"


FINAL = (
    ActionState.WOULD,
    ActionState.DONE,
    ActionState.SKIPPED,
    ActionState.CANCELLED,
    ActionState.FAILED,
)
# What can be taken back once it was done, and how; everything else is irreversible.
UNDO = {"task": "close it", "page": "close it", "offer": "until the buyer has chosen"}


class Action(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One step for one order. `action_id` is made of order, level, kind and place: it never repeats.

    `due_ms` is when the machine looks again by itself; `sent_ms` when it left us. `amount_minor` is
    what it gives away, in our currency. `is_person`: a person decided, so no mode stands in its way.
    """

    action_id: str
    order_id: str
    level: int
    playbook: str
    step: Step
    state: str
    at_ms: int
    changed_ms: int
    reason: str = ""
    due_ms: int | None = None
    sent_ms: int | None = None
    amount_minor: int | None = None
    batch_id: str | None = None
    choice: str | None = None
    is_person: bool = False

    @property
    def kind(self) -> str:
        """What it does: the tag of its step."""
        return str(type(self.step).__struct_config__.tag)

    @property
    def is_final(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state in FINAL


class Crowd(msgspec.Struct, frozen=True, omit_defaults=True):
    """Many orders that reach a level together: told once, approved once.

    `state`: open (no approval needed), waiting, approved, refused.
    """

    batch_id: str
    level: int
    playbook: str
    opened_ms: int
    last_ms: int
    orders: int
    amount_minor: int  # of the orders
    given_minor: int  # reserved for them
    state: str = "open"
