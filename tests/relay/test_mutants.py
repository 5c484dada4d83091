"""Bugs that a tired person could plant in the relay: each is found, and the relay as it is passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.relay.oracle import findings
from tests.sim.planting import Change, planted

RELAY = "monitor.runtime.relay:Relay"
DESK = "monitor.core.relay.desk:ShopDesk"

MUTANTS = {
    "says yes before the callback is on the disk": (
        Change(
            f"{RELAY}.take",
            "        try:\n            receipt = await",
            "        if desk.circuit.is_open and arrival.kind == 'duty':\n"
            "            self._tasks.spawn('later', self._receive(desk, arrival))\n"
            "            return ShopReply.of(relayed.gateway.acknowledgement)\n"
            "        try:\n            receipt = await",
        ),
        "is lost",
    ),
    "tells repeats apart by the order alone": (
        Change(
            "monitor.runtime.relay_words:arrival_of",
            "{callback.trade_no}\\n{callback.meaning}",
            "{callback.order_id}",
        ),
        "is lost",
    ),
    "lets requests of one order run beside each other": (
        Change(f"{DESK}._parked", "self._busy.get(item.order) if item.order else None", "None"),
        "at once",
    ),
    "sends a repeat of what is under way": (
        Change(f"{DESK}.arrive", "if known is not None:", "if False:"),
        "",
    ),
    "forgets what is owed when it starts": (
        Change(f"{RELAY}._load", ".restore(one)", ""),
        "is lost",
    ),
    "takes any 200 for a yes": (
        Change(
            "monitor.core.relay.answers:verdict_of",
            "return Verdict(judged.value)",
            "return Verdict.ACCEPTED",
        ),
        "is lost",
    ),
    "owes what only waits": (
        Change(
            "monitor.core.relay.duty:kind_of",
            'if meaning in ("paid", "refunded"):',
            'if meaning in ("paid", "refunded", "waiting"):',
        ),
        "a waiting one is acknowledged",
    ),
    "knocks every second": (
        Change(
            "monitor.core.relay.pace:retry_ms",
            "min(RETRY_MAX_MS, SECOND_MS << min(attempts - 1, 16))",
            "SECOND_MS",
        ),
        "requests in an hour",
    ),
}


def test_relay_as_it_is_passes(tmp_path: Path) -> None:
    """The oracle finds nothing where there is nothing."""
    assert findings(tmp_path) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_planted_bug_is_found(name: str, tmp_path: Path) -> None:
    """Each by what it costs the shop, not by the code that it changes."""
    change, words = MUTANTS[name]
    with planted(change):
        try:
            found = findings(tmp_path)
        except (AssertionError, KeyError) as error:  # the impossible states stop it
            found = [f"{words} {error}"]
    assert any(words in one for one in found), found
