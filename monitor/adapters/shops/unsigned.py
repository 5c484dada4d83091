"""Senders that sign nothing: whoever knows the address can send, so it carries a word."""

from __future__ import annotations

from monitor.adapters.shops.proof_more import WORD_PATTERN, token
from monitor.adapters.shops.push import Push, SecretForm
from monitor.model.shops import RawRequest


class UnsignedPush(Push):
    """A sender that is known by `?token=` in the address and by nothing else."""

    def prove(self, request: RawRequest) -> None:
        """Check the token of the address."""
        token(self.secrets, request)


def word_in_address(where: str) -> SecretForm:
    """The word, and where its owner puts it."""
    looks = "16 characters and more, letters, digits and -._~"
    return SecretForm(where, WORD_PATTERN, looks, is_in_address=True)
