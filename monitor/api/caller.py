"""Who a request comes from, and the scopes they have."""

from __future__ import annotations

import msgspec

from monitor.model.notes import MessageTaken

INGEST, READ, OPERATE, ADMIN = SCOPES = ("ingest", "read", "operate", "admin")
OPEN_SCOPES = (INGEST, READ)


class Caller(msgspec.Struct, frozen=True):
    """Who sent a request. `source` is the shop a key belongs to; None for the operator's tokens.

    `message` is there for a signed request: the same message is taken once.
    """

    name: str
    scopes: tuple[str, ...]
    source: str | None = None
    message: MessageTaken | None = None
    key_id: str = ""

    def may(self, scope: str) -> bool:
        """Whether the caller has the scope; `admin` includes all, `operate` includes `read`."""
        return (
            scope in self.scopes
            or ADMIN in self.scopes
            or (scope == READ and OPERATE in self.scopes)
        )


ANONYMOUS = Caller("anonymous", ())
LOCAL = Caller("local", OPEN_SCOPES)
