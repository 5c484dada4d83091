"""A followed log is read like a shop's database: page by page, bad lines by their number."""

import logging
from pathlib import Path
from typing import Any

import pytest

from monitor.adapters.tail_file import LogFile
from monitor.adapters.tail_lines import reader_of
from monitor.api.decode import DecodeContext
from monitor.api.tail_log import TailLog
from monitor.model.errors import SourceError
from monitor.model.tails import TailSource
from tests.unit.api.samples import RECEIVED_MS, SOURCES

GOOD = '{"type":"order.paid","order_id":"%s","time":"2026-01-05 10:00:00","card":"SECRET"}\n'
BAD = '{"type":"order.payd SECRET","order_id":"A9"}\n{"order_id":\n'


class Counted:
    """A log of source `shop`, and how many bad lines were told of."""

    def __init__(self, path: Path) -> None:
        self.bad: list[int] = []
        tail = TailSource("shop", str(path))
        file = LogFile(path, tail.line_bytes_max)
        self.log = TailLog("shop", file, reader_of(tail), self._context, self.bad.append)

    def _context(self, now_ms: int) -> DecodeContext:
        return DecodeContext(received_ms=now_ms, default_source="shop", sources=SOURCES)

    async def poll(self, mark: str) -> Any:
        return await self.log.poll(mark, RECEIVED_MS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "shop.log"


async def test_lines_become_events_of_their_source(path: Path) -> None:
    """Times are in the zone of the source; a page that comes twice is the same."""
    counted = Counted(path)
    path.write_text(GOOD % "A1" + GOOD % "A2", encoding="utf-8")
    first = await counted.poll("")
    assert await counted.poll("") == first
    assert [event.order_id for event in first.events] == ["A1", "A2"]
    assert {event.source for event in first.events} == {"shop"}
    assert {event.time_ms for event in first.events} == {1_767_578_400_000}
    last = await counted.poll(first.mark)
    assert (last.events, last.is_last, last.mark) == ((), True, first.mark)
    assert counted.log.notes() == []
    await counted.log.close()


async def test_bad_lines_are_counted_once_and_known_by_their_number(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They stop no other line, and nothing of what they say is told."""
    caplog.set_level(logging.DEBUG)
    counted = Counted(path)
    path.write_text(GOOD % "A1" + BAD + GOOD % "A2", encoding="utf-8")
    await counted.poll("")
    page = await counted.poll("")  # again: the loop had refused the events
    assert [event.order_id for event in page.events] == ["A1", "A2"]
    assert counted.bad == [2]
    note = "shop: 2 lines of the log are no events, the last was line 3 (bad_json)"
    assert counted.log.notes() == [note]
    told = [vars(record)["fields"] for record in caplog.records if record.name == "monitor.tail"]
    assert [(one["line"], one["code"]) for one in told] == [(2, "unknown_type"), (3, "bad_json")]
    assert not any("SECRET" in str(vars(record)) for record in caplog.records)
    await counted.log.close()


async def test_file_that_cannot_be_read_is_a_source_that_cannot_be_asked(path: Path) -> None:
    """The reason is the system's; a folder in its place is one too."""
    for reason in ("No such file or directory", "Is a directory"):
        with pytest.raises(SourceError, match=reason):
            await Counted(path).poll("")
        path.mkdir(exist_ok=True)


async def test_mark_that_nobody_understands_is_the_beginning(path: Path) -> None:
    """A mark that is lost costs time, never an event."""
    counted = Counted(path)
    path.write_text(GOOD % "A1", encoding="utf-8")
    for mark in ("", "{", '{"inode": "x"}'):
        assert len((await counted.poll(mark)).events) == 1
    await counted.log.close()
