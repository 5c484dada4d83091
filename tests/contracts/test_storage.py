"""The storage suites over every engine: the embedded database and its in-memory twin."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.adapters.storage.memory import MemoryStore
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.model.errors import StorageError
from monitor.ports import Store
from tests.contracts import notebook_contract, outbox_contract, storage_contract
from tests.contracts.storage_contract import Bench


class MemoryBench:
    """A crash is a clone of what was durable."""

    async def open(self) -> Store:
        return MemoryStore()

    async def restart(self, store: Store) -> Store:
        await store.close()
        return await self.crash(store)

    async def crash(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.clone_durable()

    def refuse_next_write(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.fail_next(StorageError("refused by the test"))


class SqliteBench:
    """A crash is a copy of the files as they are, opened elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: list[tuple[SqliteStore, Path]] = []

    async def open(self) -> Store:
        return await self._open(self._folder / "0")

    async def restart(self, store: Store) -> Store:
        await store.close()
        return await self._open(self._data_dir(store))

    async def crash(self, store: Store) -> Store:
        target = self._folder / str(len(self._opened))
        # The shared memory file is left out: after a crash it is rebuilt from the log anyway.
        shutil.copytree(self._data_dir(store), target, ignore=shutil.ignore_patterns("*-shm"))
        return await self._open(target)

    def refuse_next_write(self, store: Store) -> None:
        """A commit hook that answers True turns the COMMIT into a ROLLBACK."""
        assert isinstance(store, SqliteStore)
        connection = store._writer._connection
        assert connection is not None

        def refuse() -> bool:
            connection.set_commit_hook(None)
            return True

        connection.set_commit_hook(refuse)

    async def close(self) -> None:
        for store, _ in self._opened:
            await store.close()

    async def _open(self, data_dir: Path) -> Store:
        store = await open_sqlite(data_dir)
        self._opened.append((store, data_dir))
        return store

    def _data_dir(self, store: Store) -> Path:
        return next(data_dir for each, data_dir in self._opened if each is store)


@pytest.fixture(params=["sqlite", "memory"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "memory":
        yield MemoryBench()
        return
    sqlite = SqliteBench(tmp_path)
    yield sqlite
    await sqlite.close()


@pytest.fixture
async def store(bench: Bench) -> Store:
    return await bench.open()


class TestEventLog(storage_contract.EventLogContract):
    """Over every engine."""


class TestStateStore(storage_contract.StateStoreContract):
    """Over every engine."""


class TestLeaseStore(storage_contract.LeaseStoreContract):
    """Over every engine."""


class TestAggregates(storage_contract.AggregatesContract):
    """Over every engine."""


class TestNotebook(notebook_contract.NotebookContract):
    """Over every engine."""


class TestOutbox(outbox_contract.OutboxContract):
    """Over every engine."""


class TestStore(outbox_contract.StoreContract):
    """Over every engine."""
