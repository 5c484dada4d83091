"""A log is followed through rotation, truncation and restarts: each line once, in order."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from monitor.adapters.tail_file import CHUNK_BYTES, LINES_MAX, SETTLED_READS, LogFile
from monitor.model.tails import Place

LONG = 100


class Reader:
    """Reads as the service does; a restart forgets everything but the place."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, Place()
        self.file = LogFile(path, LONG)
        self.names: list[str] = []
        self.numbers: list[int] = []

    def restart(self) -> None:
        self.file.close()
        self.file = LogFile(self.path, LONG)

    def read(self, reads: int = 1) -> list[str]:
        """The lines of some reads; `<long>` for one that is too long."""
        found = []
        for _ in range(reads):
            chunk = self.file.read(self.place)
            self.place = chunk.place
            self.names += [line.name for line in chunk.lines]
            self.numbers += [line.number for line in chunk.lines]
            found += ["<long>" if one.raw is None else one.raw.decode() for one in chunk.lines]
        return found

    def rest(self) -> list[str]:
        """Everything that is there, also in the file after one that was moved."""
        return self.read(3 * SETTLED_READS + 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is; it is empty."""
    path = tmp_path / "shop.log"
    path.touch()
    return path


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    """A reader at the beginning."""
    one = Reader(path)
    yield one
    one.file.close()


def write(path: Path, text: str) -> None:
    """Append, as a shop does."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_lines_are_read_once_when_they_are_whole(path: Path, reader: Reader) -> None:
    """A line that is still being written waits for its end; blank ones count but say nothing."""
    write(path, "a\n\n订单 b\nhal")
    assert reader.read() == ["a", "订单 b"]
    assert reader.read() == []
    write(path, "f\r\n")
    assert reader.read() == ["half\r"]
    assert reader.numbers == [1, 3, 4]
    assert reader.rest() == []


def test_page_is_the_same_until_its_place_is_kept(path: Path, reader: Reader) -> None:
    """What could not be submitted is read again under the same names."""
    write(path, "a\nb\n")
    first = reader.file.read(Place())
    assert reader.file.read(Place()) == first
    reader.restart()
    assert reader.file.read(Place()) == first


def test_restart_goes_on_where_it_was(path: Path, reader: Reader) -> None:
    """Neither twice nor not at all, also if nothing had been read."""
    reader.restart()
    write(path, "a\n")
    assert reader.read() == ["a"]
    reader.restart()
    write(path, "b\n")
    assert reader.rest() == ["b"]
    assert len({*reader.names}) == 2


@pytest.mark.parametrize("rotated", ["shop.log.1", "shop.log-20260105", "shop-20260105.log"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_rotation_by_rename_loses_nothing(
    path: Path, reader: Reader, rotated: str, is_restarted: bool
) -> None:
    """The moved file is read to its end, also what comes late, before the new one begins."""
    write(path, "a\nb\n")
    assert reader.read() == ["a", "b"]
    write(path, "c\n")
    moved = path.rename(path.with_name(rotated))
    if is_restarted:
        reader.restart()
    write(path, "e\n")
    write(moved, "d\n")
    assert reader.rest() == ["c", "d", "e"]
    write(path, "f\n")
    assert reader.read() == ["f"]
    assert len({*reader.names}) == 6


def test_late_line_in_a_moved_file_is_waited_for(path: Path, reader: Reader) -> None:
    """A program writes on into what it has open until it is told; then the rest counts as a line."""
    write(path, "a\n")
    assert reader.read() == ["a"]
    moved = path.rename(path.with_name("shop.log.1"))
    write(path, "c\n")
    assert reader.read(2) == []
    write(moved, "b\nta")
    assert reader.read() == ["b"]
    assert reader.read(2) == []
    write(moved, "il")
    assert reader.rest() == ["tail", "c"]


def test_two_rotations_while_nobody_read(path: Path, reader: Reader) -> None:
    """Every file in between is read, the oldest first; what was there before is not begun again."""
    write(path.with_name("shop.log.9"), "long ago\n")
    os.utime(path.with_name("shop.log.9"), (1, 1))
    write(path, "a\nb\n")
    assert reader.read() == ["a", "b"]
    write(path, "c\n")
    reader.restart()
    path.rename(path.with_name("shop.log.2"))
    os.utime(path.with_name("shop.log.2"), (1_000, 1_000))
    write(path, "d\n")
    path.rename(path.with_name("shop.log.1"))
    os.utime(path.with_name("shop.log.1"), (2_000, 2_000))
    write(path, "e\n")
    assert reader.read(40) == ["c", "d", "e"]


def test_truncated_file_begins_anew(path: Path, reader: Reader) -> None:
    """Also if it has grown past the old place by then: its first bytes are others."""
    write(path, "a\nb\n")
    assert reader.read() == ["a", "b"]
    os.truncate(path, 0)
    write(path, "c\n")
    assert reader.read() == ["c"]
    os.truncate(path, 0)
    write(path, "d and much more\ne\n")
    assert reader.read() == ["d and much more", "e"]
    assert len({*reader.names}) == 5


def test_deleted_file_is_read_to_its_end(path: Path, reader: Reader) -> None:
    """What is open can be read; then whatever has its name is next."""
    write(path, "a\n")
    assert reader.read() == ["a"]
    write(path, "b\n")
    path.unlink()
    assert reader.read() == ["b"]
    write(path, "c\n")
    assert reader.rest() == ["c"]


def test_other_files_beside_it_are_none_of_it(path: Path, reader: Reader) -> None:
    """Neither a compressed log nor the files of an emitter nor another log."""
    write(path, "a\n")
    assert reader.read() == ["a"]
    reader.restart()
    path.rename(path.with_name("gone"))
    for name in ("shop.log.1.gz", "shop.log.at", "shop.log.rejected", "shopping.log", "shop.1"):
        write(path.with_name(name), "x\n")
    write(path, "b\n")
    assert reader.rest() == ["b"]


def test_line_that_is_too_long_is_one_bad_line(path: Path, reader: Reader) -> None:
    """However long it is, and in however many pieces it comes; no more than a chunk is in memory."""
    write(path, "a\n" + "x" * (LONG + 1) + "\nb\n")
    assert reader.read() == ["a", "<long>", "b"]
    write(path, "y" * (2 * CHUNK_BYTES + 7))
    assert reader.read(4) == []
    reader.restart()
    write(path, "y\nc\n")
    assert reader.rest() == ["<long>", "c"]
    assert reader.numbers == [1, 2, 3, 4, 5]


def test_page_has_a_limit(path: Path, reader: Reader) -> None:
    """A log of months is read in pages."""
    write(path, "".join(f"{number}\n" for number in range(2 * LINES_MAX + 1)))
    pages = [reader.read() for _ in range(4)]
    assert [len(page) for page in pages] == [LINES_MAX, LINES_MAX, 1, 0]
    assert [*chain(*pages)] == [str(number) for number in range(2 * LINES_MAX + 1)]


def test_file_that_is_not_there_is_an_error_and_then_read(path: Path, reader: Reader) -> None:
    """It is said, and once it is there it is read from its beginning."""
    path.unlink()
    with pytest.raises(FileNotFoundError):
        reader.read()
    write(path, "a\n")
    assert reader.read() == ["a"]
