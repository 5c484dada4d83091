"""A mark survives a restart, belongs to one database, and is worth nothing when it is damaged."""

import stat
from pathlib import Path

import pytest

from monitor.adapters.marks import MarkFile


def mark_of(data_dir: Path, source: str, *place: str, position: int = 7) -> MarkFile:
    """A mark beside a log that is so far."""
    return MarkFile(data_dir, lambda: position, source, *place)


async def test_mark_is_there_after_a_restart(tmp_path: Path) -> None:
    """For its owner only; another source has another one."""
    mark = mark_of(tmp_path, "main", "dujiaoka", "mysql://r@db/shop")
    assert await mark.read() == ""
    await mark.write("[17]")
    again = mark_of(tmp_path, "main", "dujiaoka", "mysql://r@db/shop")
    assert (await mark.read(), await again.read()) == ("[17]", "[17]")
    assert await mark_of(tmp_path, "other", "dujiaoka", "mysql://r@db/shop").read() == ""
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_mark_of_another_database_is_none(tmp_path: Path) -> None:
    """Its ids would be those of other orders."""
    await mark_of(tmp_path, "main", "dujiaoka", "mysql://r@db/shop").write("[17]")
    assert await mark_of(tmp_path, "main", "dujiaoka", "mysql://r@db/other").read() == ""


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"place": 1}', b"[]"])
async def test_damaged_mark_is_a_lost_one(tmp_path: Path, raw: bytes) -> None:
    """Some facts come again; the service starts."""
    mark = mark_of(tmp_path, "main", "x")
    (tmp_path / "mark-main.json").write_bytes(raw)
    assert await mark.read() == ""


async def test_mark_that_cannot_be_written_is_kept_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk does not stop the reading of a shop."""
    mark = mark_of(tmp_path / "gone", "main", "x")
    await mark.write("[17]")
    assert await mark.read() == "[17]"
    assert caplog.messages == ["mark_not_kept"]


@pytest.mark.parametrize(("position", "mark"), [(6, ""), (7, "[17]"), (8, "[17]")])
async def test_mark_is_lost_with_the_events_before_it(
    tmp_path: Path, position: int, mark: str
) -> None:
    """A database restored from before the mark does not have what was read up to it."""
    await mark_of(tmp_path, "main", "x").write("[17]")
    assert await mark_of(tmp_path, "main", "x", position=position).read() == mark
