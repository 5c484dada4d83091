"""Effects: what the core asks the outside world to do. Each becomes a durable outbox row.

`key` names the effect after its cause, so the same decision can never ask twice. How often an
effect may be repeated is a property of its kind (`REPEATS`): a `Submit` is sent at most once, ever;
everything else is idempotent at the receiver by its key and is repeated until answered.
"""

from __future__ import annotations

import msgspec

from monitor.model.ids import derived_id


class Notify(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="notify"):
    """A message to one integration (`dingtalk/1f2e3d4c`) of a receiver.

    `title` and `text` (Markdown) are rendered for chat; `payload` is the `data` of a webhook whose
    `type` is `event_type` (contract §6). `status` is firing, resolved or info.
    """

    key: str
    receiver: str
    integration: str
    event_type: str
    status: str
    severity: str
    title: str
    text: str
    payload: msgspec.Raw
    at_ms: int


class CallWebhook(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="webhook"):
    """One of our signed webhooks (contract §6) to a configured endpoint (`webhooks/1f2e3d4c`)."""

    key: str
    endpoint: str
    event_type: str
    payload: msgspec.Raw
    at_ms: int


class SwitchChannel(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="switch"):
    """`channel.switch` to the failover webhook, repeated until acknowledged or `valid_until_ms`."""

    key: str
    epoch: int
    payload: msgspec.Raw
    at_ms: int
    valid_until_ms: int


class Claim(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="claim"):
    """Ask the shop for ownership of an order. The same `claim_id` gets the same answer."""

    key: str
    takeover_id: str
    order_id: str
    claim_id: str
    fence: int
    expires_ms: int


class Submit(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="submit"):
    """Ask a channel to deliver. Its outbox row is the intent; never sent a second time."""

    key: str
    takeover_id: str
    attempt_ref: str
    channel: str
    order_id: str
    fence: int
    sku: str | None
    quantity: int
    amount_minor: int | None
    currency: str | None
    region: str | None
    max_cost_minor: int | None


class Query(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="query"):
    """Ask a channel what became of an attempt. Harmless to repeat."""

    key: str
    takeover_id: str
    attempt_ref: str
    channel: str
    order_id: str
    sku: str | None
    quantity: int
    supplier_ref: str | None
    amount_minor: int | None = None
    currency: str | None = None
    region: str | None = None
    max_cost_minor: int | None = None


class HandOver(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="hand_over"):
    """Give the goods of an attempt (from the vault) to the shop; byte-identical when repeated."""

    key: str
    takeover_id: str
    order_id: str
    claim_id: str
    fence: int
    channel: str
    attempt_ref: str


class Release(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="release"):
    """Give the order back to the shop."""

    key: str
    takeover_id: str
    order_id: str
    claim_id: str
    fence: int
    reason: str


class Quarantine(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="quarantine"):
    """Lock the goods of an attempt away for ever: they may have been seen, or were not needed."""

    key: str
    takeover_id: str
    attempt_ref: str
    channel: str


class NotifyBuyer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="tell_buyer"):
    """Have the shop tell the buyer something: `text` in the shop's language, made of `template`.

    `channels` are the shop's own names, such as page or email. An offer has `choices`, a time at
    which it ends and the choice that stands then.
    """

    key: str
    action_id: str
    order_id: str
    template: str
    language: str
    text: str
    at_ms: int
    channels: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    expires_ms: int | None = None
    default: str | None = None


class Compensate(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="compensate"):
    """Have the shop give the buyer something for the wait; `kind`: coupon."""

    key: str
    action_id: str
    order_id: str
    kind: str
    amount_minor: int
    currency: str
    reason: str
    at_ms: int


class Refund(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="k", tag="refund"):
    """Have the shop pay an order back, whole if `amount_minor` is None.

    `action_id` is `refund_id` of the order, so that two reasons to refund are one refund. The shop
    compares and sets: an order it has delivered is not refunded. `takeover_id claim_id fence` tell
    it that the refund comes from whoever holds the order.
    """

    key: str
    action_id: str
    order_id: str
    reason: str
    at_ms: int
    amount_minor: int | None = None
    currency: str | None = None
    takeover_id: str | None = None
    claim_id: str | None = None
    fence: int | None = None


def refund_id(order_id: str) -> str:
    """Name the one refund an order can have, whoever asks for it."""
    return derived_id("act", order_id, "refund")


Effect = (
    Notify
    | CallWebhook
    | SwitchChannel
    | Claim
    | Submit
    | Query
    | HandOver
    | Release
    | Quarantine
    | NotifyBuyer
    | Compensate
    | Refund
)

# When an outcome is unknown (timeout, reset, 5xx, crash): repeat the effect, or report and ask?
REPEATS: dict[type[Effect], bool] = {
    Notify: True,
    CallWebhook: True,
    SwitchChannel: True,
    Claim: True,
    Submit: False,
    Query: True,
    HandOver: True,
    Release: True,
    Quarantine: True,
    NotifyBuyer: True,
    Compensate: True,
    Refund: True,
}

effect_encoder = msgspec.json.Encoder()
effect_decoder: msgspec.json.Decoder[Effect] = msgspec.json.Decoder(Effect)
