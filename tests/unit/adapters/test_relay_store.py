"""`relay.db`: one row per body, repeats by their key, and nothing kept for longer than it may be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.adapters.relay_store import RelayStore
from monitor.model.gateways import Callback, Meaning
from monitor.model.relay import Arrival, Closing, Kind, News, ShopReply, State
from monitor.model.shops import RawRequest

NOW_MS = 1_790_000_000_000
YES = ShopReply(200, (("X", "caf\udce9"),), b"success")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RelayStore]:
    opened = RelayStore(tmp_path)
    yield opened
    await opened.close()


def arrival(
    trade: str = "T1", meaning: Meaning = Meaning.PAID, fields: str = "f", body: str = "b",
    kind: Kind = Kind.DUTY,
) -> Arrival:  # fmt: skip
    callback = Callback("A1", trade, meaning, fields_digest=fields)
    raw = RawRequest("POST", "/relay/main/epay?n=\udcff", (("A", "\udce9"),), b"x" * 9_000, NOW_MS)
    key = f"{trade}/{meaning}" if kind != Kind.PLAIN else ""
    return Arrival("main/epay", key, kind, callback, raw, "?n=\udcff", body)


async def accepted(store: RelayStore, item: int, at_ms: int = NOW_MS) -> None:
    store.closed(Closing(item, item, State.ACCEPTED, at_ms, YES), (News.OK,))
    await store.counts()


async def test_repeat_is_known_by_its_key_and_its_bytes(store: RelayStore) -> None:
    """Payment number and meaning make the key; other bytes are another row of the same."""
    first = await store.arrive(arrival())
    assert (first.is_new, first.row) == (True, first.item)
    again = await store.arrive(arrival())
    assert (again.is_new, again.item) == (False, first.item)
    signed_anew = await store.arrive(arrival(body="c"))
    assert (signed_anew.is_new, signed_anew.item, signed_anew.is_conflict) == (
        True,
        first.item,
        False,
    )
    waiting = await store.arrive(arrival(meaning=Meaning.WAITING))
    assert waiting.item not in (first.item, signed_anew.row)


async def test_body_beyond_the_cap_of_its_key_is_kept_as_a_duty_of_its_own(tmp_path: Path) -> None:
    """Eight forgeries under a payment's number do not keep the genuine callback off the disk."""
    store = RelayStore(tmp_path)
    first = await store.arrive(arrival(body="forged 0"))
    for number in range(1, 8):
        forged = await store.arrive(arrival(body=f"forged {number}"))
        assert forged.item == first.item
    genuine = await store.arrive(arrival(body="genuine", fields="true"))
    assert (genuine.is_new, genuine.item, genuine.is_conflict) == (True, genuine.row, True)
    await store.close()
    store = RelayStore(tmp_path)
    owed = await store.open_items(NOW_MS)
    assert [len(one.rows) for one in owed] == [8, 1]
    assert owed[1].rows == (genuine.row,)
    await store.close()


async def test_answer_of_the_shop_is_the_answer_to_repeats(store: RelayStore) -> None:
    """As it was said, bytes of other encodings too; a contradiction is kept beside it."""
    first = await store.arrive(arrival())
    await accepted(store, first.item)
    assert (await store.arrive(arrival(body="c"))).answer == YES
    other = await store.arrive(arrival(fields="other"))
    assert (other.answer, other.is_conflict) == (YES, True)
    assert (await store.counts()).conflicts == 1


async def test_next_process_gets_what_is_owed_and_nothing_else(tmp_path: Path) -> None:
    """Bodies in the order of arrival, attempts, and news that it was taken over."""
    store = RelayStore(tmp_path)
    first = await store.arrive(arrival())
    second = await store.arrive(arrival(body="c"))
    await store.arrive(arrival("T2", Meaning.WAITING, kind=Kind.PASSING))
    done = await store.arrive(arrival("T3"))
    store.attempted(first.item, 4, NOW_MS + 9)
    await accepted(store, done.item)
    await store.close()
    store = RelayStore(tmp_path)
    (found,) = await store.open_items(NOW_MS)
    assert (found.item, found.rows) == (first.item, (first.row, second.row))
    assert (found.attempts, found.due_ms) == (4, NOW_MS + 9)
    assert {(one.news, one.callback.trade_no) for one in await store.untold()} == {
        (News.TAKEN, "T1"), (News.OK, "T3"),
    }  # fmt: skip
    assert (await store.request(second.row)).request == arrival().request
    await store.close()


async def test_news_is_told_once(store: RelayStore) -> None:
    """Until the monitor has taken it, and each piece only once for a callback."""
    first = await store.arrive(arrival())
    for _ in range(2):
        store.tell(first.item, first.row, (News.TAKEN, News.REJECTED), NOW_MS)
    news = await store.untold()
    assert [one.news for one in news] == [News.TAKEN, News.REJECTED]
    await store.told([one.news_id for one in news])
    store.tell(first.item, first.row, (News.TAKEN,), NOW_MS)
    assert await store.untold() == []
