"""The disk reserve: held while there is room, given up in time, held again only with room to spare."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.adapters.reserve import Reserve

SIZE = 80_000  # an eighth is 10,000


class Room:
    """Free bytes of the disk beside the reserve; the only thing here that is not real."""

    def __init__(self) -> None:
        self.free_bytes = 1_000_000

    def __call__(self, _folder: Path) -> int:
        return self.free_bytes


def test_reserve_is_real_space(tmp_path: Path) -> None:
    """Blocks are allocated: a file that is only long would free nothing."""
    held = Reserve(tmp_path, SIZE)
    assert held.settle()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= SIZE
    assert held.shortage is None


@pytest.mark.parametrize(("room", "is_held"), [(10_000, True), (9_999, False)])
def test_reserve_is_given_up_before_nothing_is_left(
    tmp_path: Path, room: int, is_held: bool
) -> None:
    """With less than an eighth of its size free, events are refused and the rest gets the space."""
    disk = Room()
    held = Reserve(tmp_path, SIZE, free_bytes=disk)
    held.settle()
    disk.free_bytes = room
    assert held.settle() == is_held
    assert (tmp_path / "reserve").exists() == is_held
    assert held.is_short != is_held


@pytest.mark.parametrize(("room", "is_held"), [(89_999, False), (90_000, True)])
def test_reserve_is_held_again_with_room_to_spare(tmp_path: Path, room: int, is_held: bool) -> None:
    """What it freed itself is not enough to hold it again."""
    disk = Room()
    held = Reserve(tmp_path, SIZE, free_bytes=disk)
    held.settle()
    held.give_up()
    assert "no space left" in str(held.shortage)
    disk.free_bytes = room
    assert held.settle() == is_held
    assert (held.shortage is None) == is_held


def test_other_size_is_taken_over(tmp_path: Path) -> None:
    """A changed setting holds its own size; none at all leaves no file behind."""
    Reserve(tmp_path, SIZE).settle()
    assert Reserve(tmp_path, SIZE // 2).settle()
    assert (tmp_path / "reserve").stat().st_size == SIZE // 2
    nothing = Reserve(tmp_path, 0)
    nothing.settle()
    assert not (tmp_path / "reserve").exists()
    nothing.give_up()
    assert not nothing.is_short
