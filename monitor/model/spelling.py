"""Suggest the word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

WORD_MAX = 80  # comparing is quadratic; nobody's signal name is longer


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the closest known word, or an empty string."""
    close = get_close_matches(word[:WORD_MAX], list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else ""
