"""A person delivers: the order waits in the console until somebody closes the takeover."""

from __future__ import annotations

import msgspec

from monitor.adapters.unanswered import unanswered
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.records import AttemptAnswered


class ManualChannel:
    """Takes every order into the queue of people; keeps `DeliveryChannel` and has no goods."""

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Accept: the takeover is escalated, and a person's word closes it."""
        return _answer(effect, now_ms, "accepted")

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        """Nobody but the person knows: unknown."""
        return _answer(effect, now_ms, "unknown")

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:
        """Nothing to lock away."""


def _answer(effect: Submit | Query, now_ms: int, outcome: str) -> AttemptAnswered:
    answer = unanswered(effect, now_ms)
    return msgspec.structs.replace(answer, outcome=outcome, is_query=isinstance(effect, Query))
