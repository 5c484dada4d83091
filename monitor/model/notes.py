"""Notes: lines of the log beside facts and decisions, durable with what they speak of.

The core has no use for them.
"""

from __future__ import annotations

import msgspec


class MessageTaken(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="message"):
    """A signed message was taken, with the entries behind it; its id is not taken again.

    Shapes: `digest` is 16 hex digits, a hash of the raw body; `signed_ms` is the sender's time.
    """

    source: str
    message_id: str
    digest: str
    signed_ms: int
    at_ms: int


class Audited(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="t", tag="audit"):
    """Somebody changed something, or was refused to (`outcome` is then the code of the refusal).

    `key_id` is empty for the admin token and for what the machine itself did. `before` and `after`
    hold what the change is about, as JSON.
    """

    audit_id: str
    at_ms: int
    actor: str
    scope: str
    action: str
    target: str = ""
    key_id: str = ""
    before: msgspec.Raw = msgspec.Raw(b"null")
    after: msgspec.Raw = msgspec.Raw(b"null")
    reason: str = ""
    outcome: str = "done"
    request_id: str = ""


Note = MessageTaken | Audited
