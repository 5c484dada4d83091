"""What every test run has in common: in CI (DELIVERY_MONITOR_CI=1) a skipped test is a failure.

The one exception are tests marked `needs_shared_data` while that data is absent; see shared_data.py.
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from monitor.testing.scenario import Scenario
from tests import shared_data
from tests.databases import mariadb_server, postgresql_database, postgresql_server

__all__ = ["mariadb_server", "postgresql_database", "postgresql_server"]  # fixtures for all

# A shared machine is slow at times; how long an example takes says nothing about the product.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

SKIPS_FAIL = os.environ.get("DELIVERY_MONITOR_CI") == "1"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", f"{shared_data.MARKER}: reads real data beside the checkout; skipped without it"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs real data that is not there."""
    reason = shared_data.missing()
    if reason is not None and item.get_closest_marker(shared_data.MARKER):
        pytest.skip(reason)


def _is_forgiven(report: pytest.TestReport | pytest.CollectReport) -> bool:
    """Whether the skip is for want of data that does not come with the product."""
    is_marked = isinstance(report, pytest.TestReport) and shared_data.MARKER in report.keywords
    return is_marked and shared_data.missing() is not None


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that names the reason; an expected failure stays one."""
    if not report.skipped or hasattr(report, "wasxfail") or _is_forgiven(report):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: nothing may be skipped in CI; {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Refuse skips of single tests in CI."""
    report = yield
    if SKIPS_FAIL:
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse skips of whole files in CI."""
    report = yield
    if SKIPS_FAIL:
        _refuse(report)
    return report


@pytest.fixture
def scenario() -> Scenario:
    """A story on default settings without rules."""
    return Scenario()
