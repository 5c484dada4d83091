"""A disk whose syncs fail under a real service: nothing is acknowledged, the process ends, no loss."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.durability.promise import keep
from tests.durability.sender import Sender, logged, lost
from tests.durability.tracing import why_not
from tests.e2e.serving import ENVIRONMENT

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# Start, lease and its renewal sync some dozen times; these are all later.
FIRST = 40
ENDED_WITHIN_S = 15.0


@contextmanager
def _served(folder: Path, fault: str) -> Iterator[tuple[Sender, subprocess.Popen[str]]]:
    """A service whose syncs of the log fail as `fault` says; its address is in its log."""
    wal = folder / "data" / "monitor.db-wal"
    # -D: strace stands beside the service, so that the process here is the service itself.
    process = subprocess.Popen(
        ["strace", "-D", "-f", "--seccomp-bpf", "-o", os.devnull, f"-P{wal}", "-etrace=fdatasync",
         f"-einject=fdatasync:{fault}", sys.executable, "-m", "monitor", "serve",
         "--data-dir", str(folder / "data"), "--listen", "127.0.0.1:0"],
        cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Sender(_logged(process, "listening")["url"]), process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


def _logged(process: subprocess.Popen[str], event: str) -> dict[str, str]:
    assert process.stderr is not None
    for line in process.stderr:
        fields: dict[str, str] = json.loads(line) if line.startswith("{") else {}
        if fields.get("event") == event:
            return fields
    raise AssertionError(f"ended without {event}")


@pytest.mark.slow
async def test_sync_that_fails_once_refuses_and_the_service_goes_on(tmp_path: Path) -> None:
    """The batch is refused, the file is opened anew and checked, the next one is taken."""
    with _served(tmp_path, f"error=EIO:when={FIRST}") as (shop, process):
        _logged(process, "ready")
        shop.send_until(202, 10)
        until_s = time.monotonic() + 30
        while not shop.refusals:
            shop.send()
            assert time.monotonic() < until_s
        assert shop.refusals[-1].status == 503
        assert "disk failed" in shop.refusals[-1].text
        shop.send_until(202, 10)
    assert process.returncode == 0
    log = await logged(tmp_path / "data")
    assert lost(shop.acknowledged, log) == []
    assert len(lost([f"o{number}" for number in range(shop.sent)], log)) == len(shop.refusals)


@pytest.mark.slow
async def test_sync_that_goes_on_failing_ends_the_process(tmp_path: Path) -> None:
    """Exit code 1 for the service manager, which starts it anew; what was acknowledged is there."""
    with _served(tmp_path, f"error=EIO:when={FIRST}+") as (shop, process):
        _logged(process, "ready")
        until_s = time.monotonic() + ENDED_WITHIN_S + 30
        while process.poll() is None:
            shop.send()
            assert time.monotonic() < until_s
    assert process.returncode == 1
    assert shop.acknowledged
    assert shop.refusals
    missing = lost(shop.acknowledged, await logged(tmp_path / "data"))
    keep("P12", tried=2, violations=len(missing))
    assert missing == []
