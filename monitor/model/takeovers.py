"""The fallback executor's case for one stuck order, and its attempts on channels.

    claiming ──granted──► claimed ──► submitting ──► accepted ─┐
        │                    ▲            │    └───► unknown ──┤
        │                    └─disproved──┘◄──────────┘        ▼
        │                                               handing_over ──► delivered
        ├──already delivered, refund, late primary delivery ──► voided
        └──denied, ambiguous, nothing left to try ────────────► escalated (a person has it)

The transitions are in `core/takeover`; this file only says what a case is made of.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

CLOCK_PLAY_MS = 60_000  # clocks are kept right in steps of less than this


# Code of goods that another order has: obtained, and not to be handed out.
SOLD_BEFORE = "goods_sold_before"


class CaseState(StrEnum):
    """Where a takeover stands; the last three are final, `advised` means no shop can be asked."""

    ADVISED = "advised"
    CLAIMING = "claiming"
    CLAIMED = "claimed"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    HANDING_OVER = "handing_over"
    DELIVERED = "delivered"
    ESCALATED = "escalated"
    VOIDED = "voided"


class AttemptState(StrEnum):
    """What is known of one try on one channel."""

    SUBMITTING = "submitting"  # the intent is durable; the request may or may not have left
    ACCEPTED = "accepted"  # the channel took it and will deliver later
    UNKNOWN = "unknown"  # may have been done: only asking is allowed
    DISPROVED = "disproved"  # certainly not done: another channel may be tried
    OBTAINED = "obtained"  # the goods are in our vault
    QUARANTINED = "quarantined"  # obtained (or perhaps obtained) but must never be handed out


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try on one channel. `ref` is stable and goes to the channel as its idempotency key."""

    ref: str
    channel: str
    number: int
    state: str
    submitted_ms: int
    settle_until_ms: int
    queries: int = 0
    early: int = 0  # of them, those whose answer came too soon after a restart to prove anything
    not_found: int = 0
    supplier_ref: str | None = None
    code: str | None = None
    reason: str | None = None
    goods_count: int = 0
    goods_digest: str | None = None
    cost_minor: int | None = None
    max_cost_minor: int | None = None
    throttled_until_ms: int = 0  # the channel asked to be left alone until then


class TakeoverCase(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stuck order in our hands. `wake_ms` is when the machine must look again by itself.

    `sku quantity amount_minor` are the shop's own answer to the claim, not our event: a forged
    event gets nobody a key. `resolution` is set once: delivered_fallback, delivered_primary,
    refunded, alternative, closed_by_person. A claimed case that may not submit yet says which
    channel it waits for, why (`pace.Wait`) and since when. `reclaims`: claims that ran out before
    anything was bought. `holder` is the person who has an escalated case, `first_word_of` the first of
    two who must say that it is delivered, `reminders` how often people were told again.
    """

    takeover_id: str
    order_id: str
    state: str
    claim_id: str
    fence: int
    opened_ms: int
    changed_ms: int
    held_by_channel: str
    claim_expires_ms: int = 0
    wake_ms: int | None = None
    sku: str | None = None
    quantity: int = 1
    amount_minor: int | None = None
    currency: str | None = None
    region: str | None = None
    attempts: tuple[Attempt, ...] = ()
    resolution: str | None = None
    escalated_reason: str | None = None
    hand_overs: int = 0
    waits_for: str | None = None
    waits_because: str | None = None
    waits_since_ms: int = 0
    reclaims: int = 0
    holder: str | None = None
    held_until_ms: int = 0
    first_word_of: str | None = None
    reminders: int = 0
    only_kind: str | None = None  # a person asked for this kind of channel and no other

    def is_due(self, now_ms: int) -> bool:
        """Whether the machine must look again now.

        A case that was changed in the future is due at once: the clock was set back.
        """
        if self.wake_ms is None:
            return False
        return now_ms >= self.wake_ms or now_ms < self.changed_ms - CLOCK_PLAY_MS
