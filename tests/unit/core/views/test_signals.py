"""Plain answers about many orders."""

from monitor.core.views.signals import signals, signals_by_scope
from monitor.model.times import MINUTE_MS
from monitor.testing.scenario import Scenario, delivered, paid, tick


def test_signals_of_many_scopes_are_those_of_each(scenario: Scenario) -> None:
    """Asked together or one by one; every order is in `all` and in exactly one channel."""
    for number in range(12):
        scenario.at(f"{number}s", paid(f"o{number}", channel="abc"[number % 3]))
    for number in range(0, 12, 2):
        scenario.at(f"{20 + number}s", delivered(f"o{number}"))
    scenario.at("4m", tick())
    engine, now_ms = scenario.engine, scenario.now_ms
    scopes = [None, "a", "b", "c", "nobody"]
    together = signals_by_scope(engine, scopes, 15 * MINUTE_MS, now_ms)
    assert together == [signals(engine, one, 15 * MINUTE_MS, now_ms) for one in scopes]
    assert [view.open_orders for view in together] == [6, 2, 2, 2, 0]
    assert [view.breached for view in together] == [6, 2, 2, 2, 0]
    assert [view.verdicts.good for view in together] == [6, 2, 2, 2, 0]
    assert [view.scope for view in together] == ["all", "a", "b", "c", "nobody"]
