"""Random names and tokens: the one place of the product that asks for randomness."""

from __future__ import annotations

import secrets

ID_BYTES = 10
TOKEN_BYTES = 32


class RandomIds:
    """Makes names nobody else has and tokens nobody can guess, from the system's generator."""

    def new_id(self, prefix: str) -> str:
        """Make `<prefix>_<20 hex digits>`: 80 random bits, no collision among 10⁹ names expected."""
        return f"{prefix}_{secrets.token_hex(ID_BYTES)}"

    def new_token(self) -> str:
        """Make a bearer token of 256 random bits, fit for a URL and a header (43 characters)."""
        return secrets.token_urlsafe(TOKEN_BYTES)

    def new_bytes(self, size: int) -> bytes:
        """Draw `size` random bytes, for keys, salts and nonces."""
        return secrets.token_bytes(size)
