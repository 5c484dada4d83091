"""Restarts change nothing of what people are told: `benchmarks/restarts.py` in small (P9)."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from benchmarks.restarts import DEATHS, Try, deaths_of, differences, lived
from tests.sim.planting import Change, planted

HOURS, KILLS = 0.6, 40  # with an outage, its alerts and their ends
PLANTED = (
    Change(
        "monitor.core.control:Control.restore",
        "        self.watch.restore(snapshot.alerts)\n",
        "",
    ),
    Change("monitor.runtime.recovery:rebuild", "undecided.extend(piece.facts)", "pass"),
    Change(
        "monitor.runtime.recovery:rebuild",
        "engine.refold(*piece.facts)",
        "getattr(piece.facts[0], 'decided_ms', 0) or engine.refold(*piece.facts)",
    ),
    Change(
        "monitor.adapters.storage.sqlite_outbox:interrupted",
        "wake_ms = due_ms",
        "wake_ms = due_ms, tries = 0",
    ),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Processes that die on purpose say so in the log."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def calm() -> list[Try]:
    """What is sent in a life without any restart."""
    return asyncio.run(lived(1, HOURS, 0))


def test_restarts_at_random_points_change_no_message(calm: list[Try]) -> None:
    """The same messages, at the same times and tries, as in a life without any restart."""
    assert differences(calm, asyncio.run(lived(1, HOURS, KILLS))) == []
    assert len(calm) > 40


@pytest.mark.parametrize("change", PLANTED, ids=lambda one: one.where)
def test_bug_in_a_restart_is_told_to_people(calm: list[Try], change: Change) -> None:
    """Forgotten alerts, forgotten events, decisions made again, tries counted anew."""
    with planted(change):
        assert differences(calm, asyncio.run(lived(1, HOURS, KILLS)))


def test_every_way_to_end_comes_equally_often() -> None:
    """At points of their own."""
    found = deaths_of(1, 24, 500)
    assert len(found) == 24
    assert {way: list(found.values()).count(way) for way in DEATHS} == dict.fromkeys(DEATHS, 6)
