"""Everything a rule test can say beside orders and states: outages, restarts, spans, actions."""

from pathlib import Path

import pytest

from monitor.config.rule_tests_file import load_rule_tests
from monitor.config.rules_file import load_rules
from monitor.model.errors import ConfigError
from monitor.model.settings import ReceiverSettings, Settings
from monitor.testing.rule_tests import RuleTestResult, run_rule_tests

RULES = """
groups:
  - name: g
    rules:
      - {alert: Waiting, expr: "open_orders > 2", min_count: 1, by: [channel], for: 1m,
         actions: [{type: manual_review}]}
      - {alert: Late, expr: "delayed_ratio[1h] > 2%", keep_firing_for: 10m}
      - {alert: Shadow, expr: "open_orders > 2", mode: shadow, actions: [{type: manual_review}]}
"""
OTHER = "groups: [{name: g, rules: [{alert: Many, expr: 'open_orders > 0', min_count: 1}]}]"
# Three orders wait from 2 min on; two of them go at 20 min.
THREE = """
      - {orders: 3, every: 60s, channel: a, delay: never}
      - {at: 20m, order: 1-1, type: order.refunded}
      - {at: 20m, order: 1-2, type: order.refunded}
"""


def run(
    folder: Path, events: str, wanted: str, settings: Settings | None = None, head: str = ""
) -> RuleTestResult:
    """One story told with RULES; `events` and `wanted` are YAML as in a file."""
    (folder / "r.yaml").write_text(RULES, encoding="utf-8")
    (folder / "other.yaml").write_text(OTHER, encoding="utf-8")
    path = folder / "t.yaml"
    path.write_text(
        f"start: 2026-01-05T10:00:00+08:00\n{head}\ntests:\n  - name: t\n"
        f"    events:\n{events}\n{wanted}\n",
        encoding="utf-8",
    )
    rules = load_rules([folder / "r.yaml"])
    (result,) = run_rule_tests(load_rule_tests(path, rules), rules, settings or Settings())
    return result


def texts(result: RuleTestResult) -> str:
    return "\n".join(problem.message for problem in result.messages)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{between: [2m, 4m], alert: Waiting, state: firing}", ""),
        ("{between: [2m, 4m], alert: Waiting, state: firing, labels: {channel: a}}", ""),
        ("{between: [4m, 9m], alert: Waiting, state: firing}", "expected to become Waiting firing"),
        ("{between: [1m, 2m], alert: Waiting, state: firing}", "it held from 3m until 20m"),
        ("{never: true, alert: Waiting, state: inactive, labels: {channel: a}}", "at 0ms: "),
        ("{never: [4m, 20m], alert: Waiting, state: pending}", ""),
        ("{never: [0m, 5m], alert: Waiting}", "at 3m: expected never Waiting firing"),
        ("{never: true, alert: Late}", ": expected never Late firing"),
        ("{always: [4m, 19m], alert: Waiting, state: firing}", ""),
        ("{always: [4m, 25m], alert: Waiting, state: firing}", "at 20m: expected Waiting"),
        ("{between: [4m, 6m], order: 1-1, tier: L2}", ""),
        ("{at: 6m, order: 1-1, level: L2, verdict: late_pending}", ""),
        ("{at: 2m, alert: Waiting, state: firing}", "it held from 3m until 20m"),
        ("{at: 21m, alert: Waiting, state: firing}", "it held from 3m until 20m"),
    ],
)
def test_expectation_about_a_span_of_time(tmp_path: Path, line: str, complaint: str) -> None:
    """Three orders wait from 2 min on, a minute of `for`; at 20 min one is left."""
    result = run(tmp_path, THREE, f"    until: 30m\n    expect:\n      - {line}")
    assert result.passed == (not complaint)
    assert complaint in texts(result)


@pytest.mark.parametrize("kind", ["true", "kill"])
@pytest.mark.parametrize(("at", "state"), [("2m40s", "pending"), ("7m10s", "firing")])
def test_alert_survives_a_restart_and_a_kill(
    tmp_path: Path, kind: str, at: str, state: str
) -> None:
    """`for` goes on where it was, a firing alert neither ends nor is told twice."""
    result = run(
        tmp_path,
        THREE + f"      - {{at: {at}, restart: {kind}}}\n",
        "    until: 30m\n    expect:\n"
        f"      - {{at: {at}, alert: Waiting, state: {state}}}\n"
        "      - {between: [2m55s, 3m15s], alert: Waiting, state: firing}\n"
        "      - {always: [3m15s, 19m59s], alert: Waiting, state: firing}\n"
        "      - {at: 21m, alert: Waiting, state: inactive}\n"
        "      - {at: 25m, order: 1-3, verdict: late_pending, tier: L2}\n"
        "    expect_notifications:\n"
        "      - {alert: Waiting, status: firing, count: 1}\n"
        "      - {alert: Waiting, status: resolved, count: 1}\n"
        "      - {event: order.tier_changed, count: 3}\n"
        "    expect_actions:\n"
        "      - {type: manual_review, target: a, count: 1}\n",
    )
    assert result.passed, texts(result)


@pytest.mark.parametrize("kind", ["true", "kill"])
def test_nothing_happens_while_the_service_is_down_and_news_keep_their_times(
    tmp_path: Path, kind: str
) -> None:
    """Rules see three waiting orders only after the start; deliveries in time stay in time."""
    result = run(
        tmp_path,
        THREE + f"      - {{at: 1m30s, restart: {kind}, down: 6m}}\n"
        "      - {at: 1m50s, order: early, channel: b, delay: 5s}\n",
        "    until: 30m\n    expect:\n"
        "      - {never: [0s, 7m29s], alert: Waiting, state: pending}\n"
        "      - {between: [7m30s, 10m], alert: Waiting, state: firing}\n"
        "      - {never: [0s, 7m29s], order: 1-1, tier: L1}\n"
        "      - {at: 8m, order: early, verdict: good, tier: none}\n"
        "    expect_notifications:\n"
        "      - {alert: Waiting, status: firing, count: 1}\n",
    )
    assert result.passed, texts(result)


def test_restart_of_what_is_down_is_refused(tmp_path: Path) -> None:
    """A service that does not run cannot stop."""
    with pytest.raises(ConfigError, match="restarts what is down"):
        run(
            tmp_path,
            "      - {at: 1m, restart: true, down: 6m}\n      - {at: 7m, restart: kill}\n",
            "",
        )


def test_order_that_left_memory_is_known_after_a_kill(tmp_path: Path) -> None:
    """A delivery told twice, hours later and just before the kill, makes no second order."""
    result = run(
        tmp_path,
        "      - {order: X, channel: a, delay: 8s}\n"
        "      - {at: 9h, order: X, type: order.refunded}\n"
        "      - {at: 9h10s, restart: kill}\n",
        "    expect:\n      - {at: 9h20s, order: X, verdict: good}\n",
    )
    assert result.passed, texts(result)


def test_outage_holds_back_and_brings_everything_with_its_own_time(tmp_path: Path) -> None:
    """A delivery in time that arrives after the promise is no late one; a lost one is."""
    events = (
        "      - {{orders: 9, every: 1s, channel: a, delay: 2m}}\n"
        "      - {{at: 1m, outage: ingest, for: 4m{more}}}\n"
    )
    held = "    until: 30m\n    expect:\n      - {at: 10m, order: 1-1, verdict: good}\n"
    assert run(tmp_path, events.format(more=""), held).passed
    assert run(tmp_path, events.format(more=", source: shop"), held).passed
    lost = held.replace("good", "late_pending")
    assert run(tmp_path, events.format(more=", lost: true"), lost).passed
    other = run(tmp_path, events.format(more=", source: other, lost: true"), held)
    assert other.passed


def test_reload_ends_alerts_of_rules_that_are_gone(tmp_path: Path) -> None:
    """The new rules count from then on, also in what may be expected."""
    result = run(
        tmp_path,
        THREE + "      - {at: 10m, reload: other.yaml}\n",
        "    expect:\n"
        "      - {at: 9m, firing: [Late, Shadow, Waiting]}\n"
        "      - {at: 11m, firing: [Many]}\n",
    )
    assert result.passed, texts(result)


def test_orders_that_are_created_first_and_orders_that_fail(tmp_path: Path) -> None:
    """`pay` and `ends` tell the life of an order without writing every event."""
    result = run(
        tmp_path,
        "      - {order: N, channel: a, pay: never, provider: alipay}\n"
        "      - {order: P, channel: a, pay: 1m, delay: 2m50s}\n"
        "      - {order: F, channel: a, delay: 1m, ends: order.failed}\n",
        "    expect:\n"
        "      - {at: 30m, order: N, verdict: unpaid}\n"
        "      - {at: 30m, order: P, verdict: good}\n"
        "      - {at: 30m, order: F, verdict: failed}\n",
    )
    assert result.passed, texts(result)


def test_actions_count_what_was_carried_out_and_shadow_rules_carry_out_nothing(
    tmp_path: Path,
) -> None:
    """Review on one channel once; the shadow rule would have reviewed all orders."""
    result = run(
        tmp_path,
        THREE,
        "    until: 30m\n    expect_actions:\n"
        "      - {type: manual_review, target: a, count: 1}\n"
        "      - {type: manual_review, count: 2}\n"
        "      - {type: takeover, count: 0}\n",
    )
    assert texts(result) == (
        "expected 2 actions (manual_review), carried out 1; all: 1x manual_review of a"
    )


@pytest.mark.parametrize(("mode", "count"), [("enforce", 1), ("observe", 0)])
def test_settings_of_the_file_arm_switches_and_takeovers(
    tmp_path: Path, mode: str, count: int
) -> None:
    """What is only advised is not carried out."""
    events = (
        "      - {orders: 10, every: 10s, channel: b, delay: 5s}\n"
        "      - {orders: 10, every: 10s, channel: a, delay: never}\n"
    )
    result = run(
        tmp_path,
        events,
        "    until: 4m\n    expect_actions:\n"
        f"      - {{type: failover, target: a, count: {count}}}\n",
        head=f"settings: {{channels: [a, b], failover: {mode}, fallback: {mode}}}",
    )
    assert result.passed, texts(result)


def test_message_to_a_receiver_counts_once_for_all_its_integrations(tmp_path: Path) -> None:
    """Receivers come from the configuration; one that is not there is said."""
    ops = ReceiverSettings("ops", ("dingtalk/1", "webhook/2"))
    settings = Settings(receivers=(ops,), default_receiver="ops")
    result = run(
        tmp_path,
        THREE,
        "    until: 30m\n    expect_notifications:\n"
        "      - {receiver: ops, alert: Waiting, status: firing, count: 1}\n"
        "      - {receiver: nobody, count: 0}\n",
        settings,
    )
    assert texts(result) == "no receiver is called 'nobody'; configured are ops"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{at: 1m, restart: true, delay: 8s}", "'delay' does not go with 'restart'"),
        ("{at: 1m, restart: kil}", "did you mean 'kill'"),
        ("{at: 1m, outage: ingest}", "needs 'for', how long nothing arrives"),
        ("{at: 1m, order: X, delay: 8s, lost: true}", "'lost' goes with 'outage'"),
        ("{at: 1m, restart: true, reload: x.yaml}", "'restart' and 'reload' are two entries"),
        ("{at: 1m, outage: ingest, for: 1m, down: 1m}", "'down' goes with 'restart'"),
        ("{at: 1m, restart: true, down: 0s}", "down must be greater"),
        ("{at: 1m, reload: none.yaml}", "cannot be loaded: "),
        ("{order: X, pay: never, delay: 8s}", "leave out 'delay'"),
        ("{order: X, delay: 8s, ends: order.fialed}", "did you mean 'order.failed'"),
        ("{at: 1m, restrat: true}", "unknown field 'restrat'; did you mean 'restart'"),
    ],
)
def test_wrong_happening_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    """With the place, and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        run(tmp_path, f"      - {line}", "")
    assert f"{tmp_path / 't.yaml'}:6:" in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{at: 1m, never: true, alert: Late}", "needs exactly one of 'at', 'between'"),
        ("{between: [5m], alert: Late, state: firing}", "must be two times, the earlier first"),
        ("{between: [5m, 1m], alert: Late, state: firing}", "must be two times"),
        ("{never: no, alert: Late}", "must be true or two times"),
        ("{at: 1m, order: X, tier: L1, level: L1}", "'level' is another word for 'tier'"),
        ("{at: 1m, firing: [], verdict: good}", "'verdict' and 'tier' go with 'order'"),
    ],
)
def test_wrong_expectation_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    """A field that would not be looked at is not taken."""
    with pytest.raises(ConfigError) as caught:
        run(tmp_path, "      - {order: X, delay: 8s}", f"    expect:\n      - {line}")
    assert problem in str(caught.value)
