"""Why a rule fires or does not: state, progress of `for`, and every reason why nobody was told."""

from pathlib import Path

import msgspec
import pytest

from monitor.config.rules_file import load_rules
from monitor.core.views.explanation import Explanation, Instance, explain_rule
from monitor.model.errors import NotFoundError
from monitor.model.rules import RuleSet
from monitor.model.settings import ReceiverSettings, Settings, SourceSettings
from monitor.model.times import MINUTE_MS
from monitor.testing.scenario import Scenario, delivered, heartbeat, paid, tick

RULES = """
groups:
  - name: g
    rules:
      - {alert: Late, expr: "delayed_ratio[1h] > 2%", by: [channel], for: 2m, keep_firing_for: 5m,
         severity: critical, resolve_when: "delayed_ratio[1h] < 1%", labels: {team: ops}}
      - {alert: Hidden, expr: "open_orders > 2", mode: shadow}
"""
TOLD = Settings(receivers=(ReceiverSettings("ops", ("webhook/1",)),), default_receiver="ops")


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    path = tmp_path / "r.yaml"
    path.write_text(RULES, encoding="utf-8")
    return load_rules([path])


def outage(rules: RuleSet, settings: Settings = TOLD) -> Scenario:
    """Seven orders on `a` in time, three never; the second is overdue at 11 min."""
    scenario = Scenario(settings, rules)
    for number in range(7):
        scenario.at(f"{number}m", paid(f"g{number}", channel="a"))
        scenario.at(f"{number}m8s", delivered(f"g{number}", channel="a"))
    for number in range(7, 10):
        scenario.at(f"{number}m", paid(f"b{number}", channel="a"))
    return scenario


def late(scenario: Scenario, name: str = "Late") -> Instance:
    (one,) = explain_rule(scenario.engine, name, scenario.now_ms).instances
    return one


def codes(instance: Instance) -> list[str]:
    return [why.code for why in instance.untold]


def test_inactive_pending_firing_and_ending_say_what_they_wait_for(rules: RuleSet) -> None:
    """1 late of 8 is chance; 2 of 9 is not (p 0.0131 > 0.01); 3 of 10 fires after `for`."""
    scenario = outage(rules).at("10m30s", tick())
    quiet = late(scenario)
    assert (quiet.state, quiet.condition.k, codes(quiet)) == (
        "inactive",
        1,
        ["insufficient_evidence"],
    )
    assert quiet.labels == {"channel": "a", "team": "ops"}
    pending = late(scenario.at("13m", tick()))
    assert (pending.state, codes(pending), pending.told_at) == ("pending", ["for"], None)
    assert pending.waiting is not None
    assert (pending.waiting.field, pending.waiting.of_s) == ("for", 120.0)
    assert 45.0 <= pending.waiting.passed_s <= 60.0
    firing = late(scenario.at("16m", tick()))
    assert (firing.state, firing.waiting, codes(firing)) == ("firing", None, [])
    assert firing.told_at == firing.since
    assert firing.resolve_when is not None
    assert firing.resolve_when.outcome == "false"
    forgotten = late(scenario.at("80m", tick()))  # missing data never resolves
    assert (forgotten.state, forgotten.condition.outcome) == ("firing", "no_data")


def test_shadow_and_missing_receivers_are_reasons(rules: RuleSet) -> None:
    """Every reason that holds is named, not only the first."""
    scenario = outage(rules, Settings()).at("16m", tick())
    assert codes(late(scenario)) == ["no_receiver"]
    hidden = late(scenario, "Hidden")
    assert (hidden.state, hidden.told_at) == ("firing", None)
    assert codes(hidden) == ["shadow", "no_receiver", "severity"]


def test_silent_source_is_a_reason(rules: RuleSet) -> None:
    """What is not known to be late is not known to be in time either."""
    settings = msgspec.structs.replace(TOLD, sources=(SourceSettings("shop", MINUTE_MS),))
    scenario = Scenario(settings, rules)
    for number in range(10):
        scenario.at(f"{number}s", paid(f"o{number}", channel="a"), heartbeat())
    scenario.at("1m30s", heartbeat()).at("30m", tick())
    instance = late(scenario)
    assert (instance.state, instance.condition.outcome) == ("inactive", "no_data")
    assert codes(instance) == ["no_data"]


def test_labels_choose_instances_and_a_wrong_name_is_corrected(rules: RuleSet) -> None:
    """Labels that nothing has choose nothing."""
    scenario = outage(rules)
    assert explain_rule(scenario.engine, "Late", scenario.now_ms, {"channel": "x"}).instances == []
    chosen = explain_rule(scenario.engine, "Late", scenario.now_ms, {"team": "ops"})
    assert len(chosen.instances) == 1
    with pytest.raises(NotFoundError) as caught:
        explain_rule(scenario.engine, "Lates", scenario.now_ms)
    assert caught.value.hint == "did you mean 'Late'?"


def test_explanation_survives_the_way_through_json(rules: RuleSet) -> None:
    """What the service answers is what the command line reads."""
    scenario = outage(rules).at("16m", tick())
    found = explain_rule(scenario.engine, "Late", scenario.now_ms)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found
