"""API keys as they are kept: everything about a key but the key."""

from __future__ import annotations

import hashlib

import msgspec

KEY_PREFIX = "dm_"  # what every key starts with, so that leaks can be found
KEYS_MAX = 1_000  # also revoked ones, which are kept so that the audit can name them
NAME_MAX = 64


class ApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key of `keys.json`; of the key itself only the SHA-256 and the last four characters.

    A plain hash will do: the key is 256 random bits, so there is nothing to guess.
    """

    key_id: str
    name: str
    sha256: str
    last_four: str
    scopes: tuple[str, ...]
    created_ms: int
    created_by: str
    source: str | None = None
    expires_ms: int | None = None
    revoked_ms: int | None = None
    revoked_by: str = ""

    def state(self, now_ms: int) -> str:
        """Say `active`, `expired` or `revoked`; at its end a key is expired already."""
        if self.revoked_ms is not None:
            return "revoked"
        is_over = self.expires_ms is not None and now_ms >= self.expires_ms
        return "expired" if is_over else "active"


def token_sha256(token: str) -> str:
    """Return the hex digest under which a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
