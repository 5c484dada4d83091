"""Replays of the two real files against pandas and lifelines, which know nothing of our code."""

import math
import random
from typing import Any

import pytest
from lifelines.utils import restricted_mean_survival_time

from monitor.config.rules_file import load_shipped
from monitor.model.rules import RuleSet
from monitor.model.settings import PromiseTable, Settings
from monitor.model.times import HOUR_MS, MINUTE_MS
from monitor.sim.replay import Replayed, replay
from monitor.sim.report import PERCENTILES, build_report
from tests.e2e.real_files import (
    CALLS,
    ORDERS,
    PAYMENTS,
    Truth,
    calls_truth,
    decoded,
    olist_truth,
    run_example,
)

pytestmark = [pytest.mark.needs_shared_data, pytest.mark.slow]


class Case:
    """One file: its lines, the truth, and its replay with the shipped rules.

    `every_ms`: rules are looked at so often; verdicts and breaches do not hang on it.
    """

    def __init__(self, lines: list[bytes], truth: Truth, every_ms: int) -> None:
        self.lines = lines
        self.truth = truth
        promise_ms = round(truth.promise.total_seconds() * 1000)
        promise = PromiseTable(default_ms=promise_ms)
        self.settings = Settings(promise=promise, evaluation_floor_ms=every_ms)
        self.replayed = self.replay(lines, load_shipped())
        self.report = build_report(self.replayed)

    def replay(self, lines: list[bytes], rules: RuleSet) -> Replayed:
        return replay(decoded(lines), self.settings, rules, until_ms=None)


@pytest.fixture(scope="module")
def olist() -> Case:
    """8,135 orders over two years, 30 days promised."""
    return Case(run_example("olist.py", ORDERS, PAYMENTS), olist_truth(), 6 * HOUR_MS)


@pytest.fixture(scope="module")
def calls() -> Case:
    """2,375 calls of one day, an agent promised within 3 minutes."""
    return Case(run_example("callcentre.py", CALLS), calls_truth(), MINUTE_MS)


@pytest.fixture(params=["olist", "calls"])
def case(request: pytest.FixtureRequest) -> Case:
    """Each file in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Case)
    return found


def scopes(case: Case) -> list[tuple[dict[str, Any], Truth]]:
    """The whole file and every channel, each with its truth."""
    channels = case.report["by_channel"]
    return [(case.report, case.truth)] + [
        (channels[name], case.truth.of(name)) for name in sorted(channels)
    ]


def test_every_row_is_an_order_and_every_line_an_event(case: Case) -> None:
    """Nothing is lost on the way from the file to the report."""
    assert case.report["orders"] == len(case.truth.table)
    assert case.report["accepted"] == case.report["events"] == len(case.lines)
    assert (case.report["duplicates"], case.report["rejected"]) == (0, 0)
    assert case.report["last_event_at"] == f"{case.truth.at.isoformat()}Z"


def test_verdicts_equal_an_independent_count_exactly(case: Case) -> None:
    """All orders, and the orders of every channel."""
    assert set(case.report["by_channel"]) == set(case.truth.table.channel)
    for found, truth in scopes(case):
        assert found["verdicts"] == truth.verdicts()
    assert case.report["breached"] == case.truth.breached()


def test_engine_decided_every_breach_that_the_file_holds(case: Case) -> None:
    """What was decided on the way, tick by tick, is what the facts say in the end."""
    assert case.replayed.counts["breach"] == case.truth.breached()


@pytest.mark.filterwarnings("ignore:Approximating using")  # it means: a staircase, as wanted
def test_percentiles_equal_lifelines(case: Case) -> None:
    """Within 1.1 %, and not reached where lifelines never gets there."""
    reached = 0
    for found, truth in scopes(case):
        if not truth.table.paid.notna().any():
            continue
        curve = truth.curve()
        for name, q in PERCENTILES.items():
            expected = curve.percentile(1 - q)
            value = found["delay_s"][name]
            if math.isinf(expected):
                assert value is None
            else:
                assert value == pytest.approx(expected, rel=0.011)
                reached += 1
    assert reached >= 4


def test_means_equal_lifelines_and_pandas(case: Case) -> None:
    """The restricted mean over half an hour, and the bound the mean cannot be below."""
    delays = case.report["delay_s"]
    expected = restricted_mean_survival_time(case.truth.curve(), t=1800)
    assert delays["mean_restricted"] == pytest.approx(expected, rel=1e-6)
    assert delays["mean_lower_bound"] == pytest.approx(case.truth.mean_lower_bound_s(), rel=1e-6)


def test_shuffled_copy_with_a_third_doubled_gives_the_same_state(case: Case) -> None:
    """Facts and verdicts do not depend on the order of lines, nor on repetitions."""
    chance = random.Random(7)
    doubled = chance.sample(case.lines, len(case.lines) * 3 // 10)
    lines = chance.sample(case.lines + doubled, len(case.lines) + len(doubled))
    found = case.replay(lines, RuleSet())
    assert found.state_hash == case.replayed.state_hash
    assert (found.accepted, found.duplicates) == (len(case.lines), len(doubled))


def test_shuffled_copy_gives_the_same_engine(calls: Case) -> None:
    """Alerts, switches, counters and baselines included."""
    lines = random.Random(3).sample(calls.lines, len(calls.lines))
    assert calls.replay(lines, load_shipped()).engine_hash == calls.replayed.engine_hash


def test_one_lost_event_changes_the_state(calls: Case) -> None:
    """The hash sees a single fact."""
    found = calls.replay(calls.lines[:-1], RuleSet())
    assert found.state_hash != calls.replayed.state_hash


def test_alerts_have_times_in_order(case: Case) -> None:
    """Pending before firing before resolved, and both files fire something."""
    fired = [alert for alert in case.report["alerts"] if alert["firing_at"]]
    assert fired
    for alert in fired:
        assert alert["pending_at"] <= alert["firing_at"]
        assert alert["resolved_at"] is None or alert["firing_at"] <= alert["resolved_at"]
