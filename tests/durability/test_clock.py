"""The machine's clock is set a day on or back, or the process is stopped: nothing early, late or twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from monitor.adapters.clock import SteadyClock, steady_ms, wall_ms
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.app import Monitor
from monitor.config.load import load
from monitor.config.rules_file import load_shipped
from monitor.model.records import AlertMoved, Breached, Record, TierReached
from monitor.model.times import DAY_MS, format_rfc3339
from monitor.runtime.loop import LEASE_TTL_MS
from tests.durability.promise import keep
from tests.durability.sender import Sender, logged, lost
from tests.e2e.serving import serve

STOPPED_S = float(os.environ.get("DELIVERY_MONITOR_STOPPED_S", "2"))
CONFIG = """
listen: 127.0.0.1:0
disk_reserve_mib: 1
promise: {default: %s}
sources: [{name: shop, heartbeat: 1h}]
"""


class Wall:
    """The clock of the service's machine, which somebody sets."""

    def __init__(self) -> None:
        self.set_ms = 0

    def now_ms(self) -> int:
        return wall_ms() + self.set_ms


@asynccontextmanager
async def _service(
    folder: Path, wall: Wall
) -> AsyncIterator[tuple[Monitor, aiohttp.ClientSession]]:
    """The whole service in this process, on a wall clock of its own."""
    (folder / "monitor.yaml").write_text(CONFIG % "2s")
    loaded = load(folder / "monitor.yaml", data_dir=str(folder / "data"))
    monitor = Monitor(loaded, load_shipped(), clock=SteadyClock(wall.now_ms, steady_ms))
    await monitor.start()
    try:
        await monitor.wait_until_ready()
        async with aiohttp.ClientSession() as session:
            yield monitor, session
    finally:
        await monitor.stop()
    assert monitor.supervisor.failure is None


async def _paid(monitor: Monitor, session: aiohttp.ClientSession, order_id: str, at_ms: int) -> int:
    """The shop, whose clock nobody sets, says that an order was paid; returns when."""
    event = {"type": "order.paid", "source": "shop", "order_id": order_id, "channel": "auto",
             "time": format_rfc3339(at_ms)}  # fmt: skip
    async with session.post(f"{monitor.url}/v1/events", json=event) as answer:
        assert answer.status == 202, await answer.text()
    return at_ms


@pytest.mark.slow
@pytest.mark.parametrize("step_ms", [DAY_MS, -DAY_MS])
async def test_clock_that_is_set_by_a_day_makes_no_timer_early_or_late(
    tmp_path: Path, step_ms: int
) -> None:
    """Orders of before and after are judged at their promise, within a second; no alert but theirs."""
    wall = Wall()
    paid = {}
    async with _service(tmp_path, wall) as (monitor, session):
        paid["before"] = await _paid(monitor, session, "before", wall_ms())
        wall.set_ms = step_ms
        paid["after"] = await _paid(monitor, session, "after", wall_ms())
        await asyncio.sleep(3.5)
        assert monitor.clock.now_ms() - wall_ms() < 1_000
    log = await logged(tmp_path / "data")
    breached = {one.order_id: one for one in log if isinstance(one, Breached)}
    assert set(breached) == {"before", "after"}
    for order_id, one in breached.items():
        assert 0 <= one.decided_ms - paid[order_id] - 2_000 <= 1_000, order_id
    keep("P13", tried=2, violations=len(_twice(log)))
    assert _twice(log) == []
    assert not [
        one for one in log if isinstance(one, AlertMoved) and one.alert.rule == "SourceSilent"
    ]


@pytest.mark.slow
async def test_machine_that_slept_is_believed_when_the_shop_says_so_too(tmp_path: Path) -> None:
    """A pause of the machine: its clock steps, the shop's events have that time, and it goes on."""
    wall = Wall()
    async with _service(tmp_path, wall) as (monitor, session):
        wall.set_ms = DAY_MS
        await _paid(monitor, session, "new", wall_ms() + DAY_MS)
        assert abs(monitor.clock.now_ms() - wall_ms() - DAY_MS) < 1_000
        await _paid(monitor, session, "next", wall_ms() + DAY_MS)
        await asyncio.sleep(3.5)
    log = await logged(tmp_path / "data")
    assert {one.order_id for one in log if isinstance(one, Breached)} == {"new", "next"}
    assert _twice(log) == []


@pytest.mark.slow
@pytest.mark.timeout(120 + 3 * STOPPED_S)
async def test_stopped_process_decides_nothing_twice_when_it_goes_on(tmp_path: Path) -> None:
    """SIGSTOP: what became due meanwhile is decided once, what was acknowledged is there."""
    (tmp_path / "monitor.yaml").write_text(CONFIG % "500ms")
    with serve(tmp_path, "--config", "monitor.yaml", "--data-dir", "data") as service:
        shop = Sender(service.url)
        for _ in range(10):
            shop.send(10)
        service.signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        service.signal(signal.SIGCONT)
        for _ in range(10):
            assert shop.send(10).status == 202
        time.sleep(1)
        shop.send()  # a shop that speaks again has had the time to say what was delivered
        time.sleep(0.5)
        state = json.loads(shop.ask("GET", "/v1/orders/o0").text)
        assert state["verdict"].startswith("late")
        assert service.stop() == 0
    log = await logged(tmp_path / "data")
    assert lost(shop.acknowledged, log) == []
    assert len([one for one in log if isinstance(one, Breached)]) == 200
    keep("P14", tried=STOPPED_S, violations=len(_twice(log)))
    assert _twice(log) == []


async def test_writes_of_a_stopped_owner_are_fenced(tmp_path: Path) -> None:
    """Whoever slept longer than its lease finds another epoch and writes nothing."""
    from monitor.model.errors import FencedError
    from monitor.ports import Checkpoint

    store = await open_sqlite(tmp_path / "data")
    slept = await store.acquire("loop", "one", 0, LEASE_TTL_MS)
    assert slept is not None
    assert await store.acquire("loop", "two", LEASE_TTL_MS - 1, LEASE_TTL_MS) is None
    other = await store.acquire("loop", "two", LEASE_TTL_MS, LEASE_TTL_MS)
    assert other is not None
    with pytest.raises(FencedError):
        await store.commit(slept, Checkpoint(cursor=9))
    assert not await store.renew(slept, LEASE_TTL_MS, LEASE_TTL_MS)
    await store.commit(other, Checkpoint(cursor=1))
    assert (await store.load()).cursor == 1
    await store.close()


def _twice(log: list[Record]) -> list[tuple[str, str, int]]:
    """Decisions about orders that were made more than once."""
    made = Counter(
        (type(one).__name__, one.order_id, getattr(one, "tier", 0))
        for one in log
        if isinstance(one, (Breached, TierReached))
    )
    return [what for what, count in made.items() if count > 1]
