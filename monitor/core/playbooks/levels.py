"""When a level begins for an order, and when the order must be looked at for it.

A condition of time is an age: a tier's, or one of the file that stretches with a long promise as
the tiers do. VIPs wait less, though no tier begins before the promise is broken. A prediction is
asked only where an order is looked at anyway, and at half and three quarters of its promise.
"""

from __future__ import annotations

from monitor.core.orders.facts import Facts
from monitor.model.playbooks import Playbook
from monitor.model.settings import Settings

Limits = tuple[int, int, int]  # ages after which L1, L2, L3 begin
VIP = "vip"


def looks_ms(facts: Facts, limits: Limits, settings: Settings) -> tuple[int, ...]:
    """Ages at which an order must be looked at besides its tiers; nearly always few."""
    books, promise_ms = settings.playbooks, facts.promise_ms
    found: tuple[int, ...] = ()
    if books.is_predicting:
        found = (promise_ms // 2, promise_ms * 3 // 4)
    if books.ages_ms or (facts.customer_tier == VIP and books.vip_multiplier < 1.0):
        starts = (starts_ms(level, facts, limits, settings) for level in books.levels)
        found = (*found, *(start for start in starts if start is not None))
    return found


def starts_ms(level: Playbook, facts: Facts, limits: Limits, settings: Settings) -> int | None:
    """The age from which a level's conditions of time hold; None if it rests on predictions alone."""
    is_vip = facts.customer_tier == VIP
    multiplier = settings.playbooks.vip_multiplier if is_vip else 1.0
    starts = []
    if level.tier is not None:
        limit = limits[level.tier - 1]
        if level.tier > 1 and is_vip:
            limit = max(facts.promise_ms, round(limit * multiplier))
        starts.append(limit + 1)  # a tier begins strictly later than its limit
    if level.age_ms is not None:
        default_ms = settings.promise.default_ms
        stretch = max(1.0, facts.promise_ms / default_ms)
        starts.append(round(level.age_ms * stretch * multiplier))
    return min(starts) if starts else None


def level_at(
    facts: Facts, age_ms: int, limits: Limits, settings: Settings, above: int
) -> Playbook | None:
    """The highest level above `above` that time has brought; those below it are passed over.

    Whoever is found half an hour late needs a person, not the words for five minutes.
    """
    for level in reversed(settings.playbooks.levels):
        if level.level <= above:
            return None
        start_ms = starts_ms(level, facts, limits, settings)
        if start_ms is not None and age_ms >= start_ms:
            return level
    return None


def predicted(settings: Settings, above: int) -> Playbook | None:
    """The next level if a prediction may begin it."""
    coming = next((one for one in settings.playbooks.levels if one.level > above), None)
    return coming if coming is not None and coming.predicted_late is not None else None
