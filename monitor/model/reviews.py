"""Manual review of a scope: its new orders go to people, until a time or until somebody ends it.

A scope is `*` (every order) or one attribute of an order: `channel:A`, `sku:gold`,
`customer_tier:vip`, `speed:express`.
"""

from __future__ import annotations

import msgspec

from monitor.model.errors import InputError
from monitor.model.ids import ALL_ORDERS
from monitor.model.spelling import did_you_mean

KINDS = ("channel", "sku", "customer_tier", "speed")
SCOPE_CHARS_MAX = 200


class Review(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who has people check a scope since when, and why; `until_ms` None while a rule asks for it."""

    scope: str
    since_ms: int
    actor: str
    reason: str = ""
    until_ms: int | None = None


class Subject(msgspec.Struct, frozen=True):
    """What is known of an order that may be under review; None is not known."""

    channels: tuple[str, ...] = ()
    sku: str | None = None
    customer_tier: str | None = None
    speed: str | None = None

    def is_in(self, scope: str) -> bool:
        """Whether the scope holds this order."""
        kind, _, name = scope.partition(":")
        if kind == "channel":
            return name in self.channels
        return scope == ALL_ORDERS or (kind in KINDS and getattr(self, kind) == name)


ANY_ORDER = Subject()


def check_scope(scope: str) -> None:
    """Refuse what is no scope.

    Raises: InputError `unknown_scope`.
    """
    kind, _, name = scope.partition(":")
    if scope == ALL_ORDERS or (kind in KINDS and name and len(scope) <= SCOPE_CHARS_MAX):
        return
    close = did_you_mean(kind, KINDS)
    raise InputError(
        f"a scope is '{ALL_ORDERS}' or one of {', '.join(f'{one}:NAME' for one in KINDS)}",
        code="unknown_scope",
        hint=close or "for example channel:auto",
        pointer="/scope",
    )
