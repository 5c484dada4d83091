"""The answer of a delivery channel before anything is known: every other outcome is made of it."""

from __future__ import annotations

from monitor.model.effects import Query, Submit
from monitor.model.records import AttemptAnswered


def unanswered(effect: Submit | Query, now_ms: int) -> AttemptAnswered:
    """The attempt's answer with outcome `unknown`, which is what stays if nothing is learnt."""
    return AttemptAnswered(
        effect_key=effect.key,
        takeover_id=effect.takeover_id,
        attempt_ref=effect.attempt_ref,
        outcome="unknown",
        at_ms=now_ms,
    )
