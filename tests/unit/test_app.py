"""The whole monitor in one process: a store in trouble at the start, before it is ready."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.model.endpoints import Telemetry
from monitor.model.errors import StorageError
from monitor.model.records import AttemptAnswered, Breached, Notified
from monitor.model.rules import RuleSet, Slo
from monitor.model.times import HOUR_MS
from monitor.ports import Checkpoint, Lease, OutboxRow
from tests.unit.app_world import (
    T0,
    FragileStore,
    StillClock,
    acknowledge,
    lanes_done,
    loaded,
    paid,
    queue,
    ready,
    receiver,
    running,
    submit,
    tasks,
    webhook_call,
    with_supplier,
    written,
)


class FailsAfterATurn(FragileStore):
    """Refuses every commit and, once the loop has tried one, the outbox."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*parts)  # type: ignore[arg-type]  # those of the store it stands for
        self.tried = asyncio.Event()

    async def commit(self, lease: Lease, checkpoint: Checkpoint) -> int:
        self.tried.set()
        raise StorageError("the disk is full")

    async def interrupted(self) -> list[OutboxRow]:
        async with asyncio.timeout(10):
            await self.tried.wait()
        raise StorageError("the outbox cannot be read")


class FailsOnce:
    """Opens a store that fails, and from the second time on a sound one."""

    def __init__(self) -> None:
        self.opened = 0

    async def __call__(self, data_dir: Path) -> SqliteStore:
        self.opened += 1
        return await (FailsAfterATurn.opened if self.opened == 1 else open_sqlite)(data_dir)


async def with_a_late_order(data_dir: Path) -> StillClock:
    """Leave an order in the directory; the clock stands long after its promise."""
    async with running(loaded(data_dir)) as monitor:
        await ready(monitor)
        assert await monitor.ingest((paid("A1"),)) == ("accepted",)
    return StillClock(T0 + HOUR_MS)


async def test_failed_attempt_to_start_leaves_nothing_running(tmp_path: Path) -> None:
    """One loop, one lease, one outbox and one trace file after a start that worked only at last."""
    clock, opener = await with_a_late_order(tmp_path), FailsOnce()
    config = loaded(tmp_path, "127.0.0.1:9")
    telemetry = Telemetry("http://127.0.0.1:9", traces=True)
    endpoints = msgspec.structs.replace(config.endpoints, telemetry=telemetry)
    config = msgspec.structs.replace(config, endpoints=endpoints)
    async with running(config, clock=clock, open_store=opener) as monitor:
        await ready(monitor)
        assert opener.opened == 2
        # "known" ends by itself, once the ids of closed orders are read.
        own = [name for name in tasks(monitor) if not name.startswith(("lane ", "known"))]
        assert own == [
            "boot", "gauges", "housekeeping", "keys", "lease", "loop", "outbox", "self-audit", "stock", "traces",
        ]  # fmt: skip
        assert await monitor.ingest((paid("A2", clock.at_ms),)) == ("accepted",)
    assert monitor.supervisor.failure is None


async def test_nothing_a_failed_attempt_decided_is_lost(tmp_path: Path) -> None:
    """The breach it could not write is decided again by the next attempt, and written once."""
    await acknowledge(tmp_path, paid("A1"))
    clock, opener = StillClock(T0 + HOUR_MS), FailsOnce()
    async with running(loaded(tmp_path), clock=clock, open_store=opener) as monitor:
        await ready(monitor)
        assert opener.opened == 2
    records, _ = await written(tmp_path)
    assert [one.order_id for one in records if isinstance(one, Breached)] == ["A1"]


async def test_page_and_its_files_are_there_before_the_store_is(tmp_path: Path) -> None:
    """A person sees the starting page with its style sheet instead of a problem in JSON."""
    usable = asyncio.Event()

    async def opener(data_dir: Path) -> SqliteStore:
        await usable.wait()
        return await open_sqlite(data_dir)

    async with running(loaded(tmp_path), open_store=opener) as monitor, ClientSession() as session:
        token = monitor.token_path.read_text(encoding="ascii").strip()
        session.headers["Authorization"] = f"Bearer {token}"
        for path in ("/", "/fragments/now"):
            async with session.get(monitor.url + path) as answer:
                assert (answer.status, answer.content_type) == (503, "text/html")
                assert answer.headers["Retry-After"] == "2"
        async with session.get(monitor.url + "/") as answer:
            text = await answer.text()
        static = next(part for part in text.split('"') if part.startswith("/static/"))
        async with session.get(monitor.url + static) as answer:
            assert answer.status == 200
        async with session.get(monitor.url + "/v1/orders") as answer:
            assert answer.status == 503
        usable.set()
        await ready(monitor)
        async with session.get(monitor.url + "/") as answer:
            assert answer.status == 200


async def test_page_says_why_the_store_cannot_be_used(tmp_path: Path) -> None:
    """An owner who only looks at the page must not wait for a start that never ends."""

    async def opener(_data_dir: Path) -> SqliteStore:
        raise StorageError("monitor.db is damaged: <malformed>")

    async with running(loaded(tmp_path), open_store=opener) as monitor, ClientSession() as session:
        token = monitor.token_path.read_text(encoding="ascii").strip()
        session.headers["Authorization"] = f"Bearer {token}"
        async with asyncio.timeout(10):
            while True:
                async with session.get(f"{monitor.url}/?lang=en") as answer:
                    text = await answer.text()
                if "is damaged" in text:
                    break
        assert "Not working: the stored state cannot be used" in text
        assert "&lt;malformed&gt;" in text


async def test_reload_lets_an_effect_under_way_finish(tmp_path: Path) -> None:
    """The answer to a request of before the reload counts; its row is closed, it is sent once."""
    async with receiver() as hook:
        config = loaded(tmp_path, hook.place)
        await queue(tmp_path, webhook_call(config))
        async with running(config) as monitor:
            await ready(monitor)
            await asyncio.wait_for(hook.arrived.wait(), 10)
            await monitor.reload()
            hook.release.set()
            await lanes_done(monitor)
        assert monitor.supervisor.failure is None
        records, depth = await written(tmp_path)
        assert [(one.effect_key, one.outcome) for one in records if isinstance(one, Notified)] == [
            ("w1", "ok")
        ]
        assert (depth, hook.seen) == ({}, ["/hook"])


async def test_reload_names_the_rules_among_what_changed(tmp_path: Path) -> None:
    """Only when they did: reading the same files again changes nothing."""
    config = loaded(tmp_path)
    found = [RuleSet(), RuleSet(slos=(Slo("fast", 0.98),))]
    async with running(config, reread=lambda: (config, found.pop(0))) as monitor:
        await ready(monitor)
        assert await monitor.reload() == ([], [])
        assert await monitor.reload() == (["rules"], [])


async def test_stop_takes_in_the_answer_of_an_effect_under_way(tmp_path: Path) -> None:
    """A purchase that the supplier answers while we stop is no unknown outcome afterwards."""
    async with receiver() as supplier:
        config = with_supplier(tmp_path, supplier)
        await queue(tmp_path, submit())
        async with running(config) as monitor:
            await ready(monitor)
            await asyncio.wait_for(supplier.arrived.wait(), 10)
            # Later than a stop that waits for nobody takes.
            asyncio.get_running_loop().call_later(0.3, supplier.release.set)
    records, depth = await written(tmp_path)
    told = [one.outcome for one in records if isinstance(one, AttemptAnswered)]
    assert (told, depth, supplier.seen) == (["accepted"], {}, ["/buy"])


async def test_readiness_knows_of_a_refused_write_at_once(tmp_path: Path) -> None:
    """The sender got 503; who asks `/readyz` next is not told to go on sending. It ends by itself."""
    async with running(loaded(tmp_path)) as monitor:
        await ready(monitor)
        assert monitor.readiness().is_ready
        assert monitor.store is not None
        connection = monitor.store._writer._connection
        assert connection is not None
        connection.pragma("max_page_count", 1)  # SQLite takes the present size
        with pytest.raises(StorageError) as refusal:
            await monitor.ingest((msgspec.structs.replace(paid("A1"), sku="x" * 200_000),))
        found = monitor.readiness()
        assert (found.is_ready, found.facts["trouble"]) == (False, str(refusal.value))
        connection.pragma("max_page_count", 1_000_000)
        assert await monitor.ingest((paid("A1"),)) == ("accepted",)
        assert monitor.readiness().is_ready
