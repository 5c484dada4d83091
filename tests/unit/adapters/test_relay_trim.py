"""What `relay.db` forgets and what it never does; and who gets the last space of a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from monitor.adapters.relay_jobs import RelayJobs
from monitor.adapters.relay_schema import connect
from monitor.adapters.relay_store import RelayStore
from monitor.adapters.relay_trim import KEPT_MS, UNDELIVERED_KEPT_MS, used_bytes
from monitor.adapters.reserve import RESERVE_NAME, Reserve
from monitor.model.errors import StorageError
from monitor.model.relay import Closing, Kind, News, State
from monitor.model.times import DAY_MS
from tests.unit.adapters.test_relay_store import NOW_MS, accepted, arrival


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RelayStore]:
    opened = RelayStore(tmp_path)
    yield opened
    await opened.close()


async def ended(
    store: RelayStore, trade: str, state: State, at_ms: int, *news: News, kind: Kind = Kind.DUTY
) -> int:
    """A callback that is over; the number of its row."""
    found = await store.arrive(arrival(trade, kind=kind))
    store.closed(Closing(found.item, found.row, state, at_ms), news)
    return found.row


async def told(store: RelayStore) -> None:
    await store.told([one.news_id for one in await store.untold()])


async def trimmed(store: RelayStore, now_ms: int) -> int:
    gone = 0
    while step := await store.trim(now_ms):
        gone += step
    return gone


async def test_what_is_closed_goes_after_a_week_and_what_is_owed_never(store: RelayStore) -> None:
    """By the time of its end; an open one is there for ever."""
    done = await store.arrive(arrival("T1"))
    await accepted(store, done.item)
    await told(store)
    owed = await store.arrive(arrival("T2"))
    assert await trimmed(store, NOW_MS + KEPT_MS) == 0
    assert await trimmed(store, NOW_MS + KEPT_MS + 1) == 1
    assert await trimmed(store, NOW_MS + 100 * KEPT_MS) == 0
    assert (await store.request(owed.row)).request == arrival().request
    assert (await store.arrive(arrival("T1"))).is_new


async def test_what_nobody_can_read_goes_as_soon_as_it_is_over(store: RelayStore) -> None:
    """Also what the last process left; the newest row waits, so that no number comes twice."""
    rows = [await ended(store, "T", State.PASSED, NOW_MS, kind=Kind.PLAIN) for _ in range(3)]
    left = await store.arrive(arrival(kind=Kind.PLAIN))
    assert len((await store.request(left.row)).request.body) == 4_096
    assert await trimmed(store, NOW_MS) == 3
    await store.open_items(NOW_MS)
    assert await trimmed(store, NOW_MS) == 0
    following = await store.arrive(arrival())
    assert following.row > left.row == max(rows) + 1
    assert await trimmed(store, NOW_MS) == 1


async def test_what_a_person_has_to_do_is_kept_for_ninety_days(store: RelayStore) -> None:
    """A week is a holiday; what the shop takes after all needs nobody."""
    await ended(store, "T1", State.UNDELIVERED, NOW_MS)
    await ended(store, "T2", State.UNDELIVERED, NOW_MS)
    again = await store.arrive(arrival("T2"))
    await store.arrive(arrival("T3"))
    assert (await store.counts()).undelivered == 2
    await accepted(store, again.item, NOW_MS)
    await told(store)
    assert (await store.counts()).undelivered == 1
    assert await trimmed(store, NOW_MS + KEPT_MS + DAY_MS) == 2
    assert (await store.counts()).undelivered == 1
    assert await trimmed(store, NOW_MS + UNDELIVERED_KEPT_MS) == 0
    assert await trimmed(store, NOW_MS + UNDELIVERED_KEPT_MS + 1) == 1


async def test_nothing_goes_before_its_news_is_told(tmp_path: Path) -> None:
    """Neither by age nor by size."""
    store = RelayStore(tmp_path, bytes_max=0)
    await ended(store, "T1", State.UNDELIVERED, NOW_MS, News.UNDELIVERED)
    await ended(store, "T2", State.ACCEPTED, NOW_MS, News.OK, kind=Kind.PLAIN)
    await store.arrive(arrival("T3"))
    assert await trimmed(store, NOW_MS + 2 * UNDELIVERED_KEPT_MS) == 0
    assert len(await store.untold()) == 2
    await told(store)
    assert await trimmed(store, NOW_MS) == 2
    await store.close()


async def test_file_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    """Under the bound again in one go; what a person has to do goes after all others."""
    bytes_max = 1 << 20
    store = RelayStore(tmp_path, bytes_max=bytes_max)
    await ended(store, "case", State.UNDELIVERED, NOW_MS - 1)
    for number in range(200):
        await ended(store, f"T{number}", State.ACCEPTED, NOW_MS + number)
    await store.counts()
    assert 0 < await trimmed(store, NOW_MS + 300) < 190
    assert (await store.counts()).undelivered == 1
    await store.close()
    connection = apsw.Connection(str(tmp_path / "relay.db"))
    assert used_bytes(connection) <= bytes_max
    kept = [
        row[0]
        for row in connection.execute(
            "SELECT closed_ms FROM callback WHERE state = 'accepted' ORDER BY 1"
        )
    ]
    assert kept == [NOW_MS + number for number in range(200 - len(kept), 200)]
    connection.close()


async def test_stranger_does_not_get_the_reserve_and_a_callback_does(tmp_path: Path) -> None:
    """SQLite says that it is full: the reserve is for money."""
    jobs = RelayJobs(tmp_path / "relay.db")
    store = RelayStore(tmp_path, jobs)
    await store.counts()
    assert Reserve(tmp_path, 1 << 20).settle()

    def fill(connection: apsw.Connection) -> None:
        connection.pragma("max_page_count", connection.pragma("page_count"))

    await jobs.run(fill)
    with pytest.raises(StorageError, match="no space left"):
        await store.arrive(arrival(kind=Kind.PLAIN))
    both = await asyncio.gather(
        store.arrive(arrival(kind=Kind.PLAIN)), store.counts(), return_exceptions=True
    )
    assert isinstance(both[0], StorageError)
    assert not isinstance(both[1], BaseException)
    assert (tmp_path / RESERVE_NAME).exists()
    with pytest.raises(StorageError, match="no space left"):
        await store.arrive(arrival())
    assert not (tmp_path / RESERVE_NAME).exists()
    await store.close()


async def test_file_of_the_first_release_is_trimmed_too(tmp_path: Path) -> None:
    """It gets the index by which strangers' requests are found."""
    connection = connect(tmp_path / "relay.db")
    connection.execute("DROP INDEX callback_plain")
    connection.pragma("user_version", 1)
    connection.close()
    store = RelayStore(tmp_path)
    await ended(store, "T1", State.PASSED, NOW_MS, kind=Kind.PLAIN)
    await store.arrive(arrival())
    assert await trimmed(store, NOW_MS) == 1
    await store.close()


async def test_file_is_full_while_too_much_is_owed(tmp_path: Path) -> None:
    """What is owed does not go to make room; once it is over there is room again."""
    store = RelayStore(tmp_path, bytes_max=256 << 10)
    rows = [(await store.arrive(arrival(f"T{number}"))).row for number in range(40)]
    assert (await trimmed(store, NOW_MS), store.is_full) == (0, True)
    for row in rows[:20]:
        await accepted(store, row)
    await told(store)
    assert (await trimmed(store, NOW_MS) > 0, store.is_full) == (True, False)
    await store.close()
