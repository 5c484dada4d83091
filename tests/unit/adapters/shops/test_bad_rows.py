"""A row that nobody can read is skipped and named; the others are told, and the shop stays readable."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.adapters.shops import api
from monitor.adapters.shops.database import Database
from monitor.model.errors import SourceError
from tests.contracts.shop_contract import POLL_MS, START_MS, Reader
from tests.shops.card_shops import KamiFakaBench
from tests.shops.sqlite import sqlite_database


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[KamiFakaBench]:
    """A kamiFaka on SQLite, which takes anything for a text."""
    with sqlite_database(tmp_path / "shop.db", KamiFakaBench.script) as database:
        yield KamiFakaBench(database)


async def test_text_that_is_no_utf8_is_read_all_the_same(bench: KamiFakaBench) -> None:
    """Bytes that differ stay different; numbers, blobs and good texts are what they are."""
    database = Database(bench.database.access)
    texts = ("CAST(X'ff41' AS TEXT)", "CAST(X'fe41' AS TEXT)", "'好'", "X'ff'", "7", "NULL")
    sql = " UNION ALL ".join(
        f"SELECT {number} AS id, {text} AS said" for number, text in enumerate(texts)
    )
    rows = await database.rows(f"{sql} ORDER BY id LIMIT %s", [9])
    await database.close()
    assert [row["said"] for row in rows] == ["\\xffA", "\\xfeA", "好", b"\xff", 7, None]
    assert [row["id"] for row in rows] == [0, 1, 2, 3, 4, 5]


async def test_order_with_such_a_text_is_told_like_the_others(bench: KamiFakaBench) -> None:
    """One buyer's broken address ends neither the look nor the service."""
    for number in (1, 2, 3):
        bench.create(number, START_MS)
    bench.database.write("UPDATE temporder SET contact = CAST(X'ff41' AS TEXT) WHERE id = 2")
    reader = Reader(bench)
    await reader.poll(START_MS + POLL_MS)
    await reader.pull.close()
    assert len(reader.orders()) == 3


async def test_row_of_another_shape_hides_no_other(
    bench: KamiFakaBench, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named by its key and the kind of its fault, without anything that stands in it."""
    caplog.set_level(logging.WARNING, "monitor.shops")
    for number in (1, 2, 3):
        bench.create(number, START_MS)
    bench.database.write("UPDATE temporder SET out_order_id = X'CA4D4711' WHERE id = 2")
    reader = Reader(bench)
    await reader.poll(START_MS + POLL_MS)
    await reader.pull.close()
    assert len(reader.orders()) == 2
    (record,) = caplog.records
    fields: dict[str, Any] = vars(record)["fields"]
    assert (record.message, fields["row"], fields["skipped"]) == ("row_not_understood", 2, 1)
    assert fields["error"] in ("TypeError", "AttributeError")


async def test_statement_whose_answer_makes_no_sense_is_an_outage(bench: KamiFakaBench) -> None:
    """What a driver says of a value is never passed on."""
    database = Database(bench.database.access)
    with pytest.raises(SourceError, match="a row cannot be read: TypeError"):
        await database.rows("SELECT %s", [object()])
    assert await database.rows("SELECT 1 AS one") == [{"one": 1}]
    await database.close()


def test_entry_of_an_api_that_cannot_be_read_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever its fault is; how many there are is said, and nothing of them."""
    caplog.set_level(logging.WARNING, "monitor.shops")

    def read(item: msgspec.Raw) -> api.ReadItem:
        return (), int(bytes(item))

    items = [msgspec.Raw(one) for one in (b"CARD-4711", b"5", b"\xff")]
    assert api.read_items(items, read, "main") == ((), 5)
    (record,) = [one for one in caplog.records if one.message == "entry_unreadable"]
    assert vars(record)["fields"] == {"source": "main", "error": "ValueError", "entries": 2}
