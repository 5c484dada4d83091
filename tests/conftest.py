"""What every test run has in common: in CI (DELIVERY_MONITOR_CI=1) a skipped test is a failure."""

import os
from collections.abc import Generator

import pytest

SKIPS_FAIL = os.environ.get("DELIVERY_MONITOR_CI") == "1"


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that names the reason; an expected failure stays one."""
    if not report.skipped or hasattr(report, "wasxfail"):
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
