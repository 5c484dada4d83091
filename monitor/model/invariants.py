"""What the self-audit says: a rule that must hold, and where it does not."""

from __future__ import annotations

import msgspec

SHOWN_MAX = 3


class Violation(msgspec.Struct, frozen=True):
    """Rule `key` (I1 to I24) does not hold for `found`: ids of orders, takeovers or attempts."""

    key: str
    claim: str
    found: tuple[str, ...]

    def __str__(self) -> str:
        more = len(self.found) - SHOWN_MAX
        shown = ", ".join(self.found[:SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
        return f"{self.key}: not true that {self.claim}: {shown}"
