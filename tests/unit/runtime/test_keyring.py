"""The keys while the service runs: what changed is seen, what was used is written down."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from monitor.model.errors import ConfigError, StorageError
from monitor.model.keys import ApiKey
from monitor.model.notes import Audited
from monitor.runtime.keyring import Keyring, read_notebook
from monitor.runtime.keys_file import FILE_NAME, change_keys
from monitor.sim.virtual_loop import VirtualClock, run_virtual
from tests.unit.runtime.test_keys_file import add, key


class Watched:
    """A keyring, how often it said that something changed, and what it noted."""

    def __init__(self, data_dir: Path) -> None:
        self.changes = 0
        self.noted: list[Audited] = []
        self.trouble: StorageError | None = None
        self.ring = Keyring(data_dir, VirtualClock(), self._changed, self._note)

    def _changed(self) -> None:
        self.changes += 1

    async def _note(self, entry: Audited) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.noted.append(entry)

    async def watch(self, seconds: float) -> None:
        """Let it follow the file for a while."""
        task = asyncio.ensure_future(self.ring.run())
        await asyncio.sleep(seconds)
        task.cancel()


def revoke(data_dir: Path) -> None:
    def change(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        return tuple(msgspec.structs.replace(one, revoked_ms=7, revoked_by="you") for one in keys)

    change_keys(data_dir, change)


def test_change_of_the_file_is_taken_over_within_two_seconds(tmp_path: Path) -> None:
    """Once per change."""

    async def story() -> None:
        watched = Watched(tmp_path)
        await watched.watch(3)
        assert (watched.changes, watched.ring.keys) == (0, ())
        add(tmp_path, key(1))
        await watched.watch(2)
        assert (watched.changes, watched.ring.keys) == (1, (key(1),))

    run_virtual(story())


def test_damaged_file_keeps_the_keys_that_are_in_force(tmp_path: Path) -> None:
    """At a start it is refused; later nothing is opened or closed by it."""
    add(tmp_path, key(1))

    async def story() -> None:
        watched = Watched(tmp_path)
        (tmp_path / FILE_NAME).write_bytes(b"{")
        await watched.watch(2)
        assert (watched.changes, watched.ring.keys) == (0, (key(1),))
        with pytest.raises(ConfigError):
            Watched(tmp_path)

    run_virtual(story())


def test_what_was_done_to_keys_is_noted_once(tmp_path: Path) -> None:
    """In the words of the file, over restarts, and later when the store is in trouble now."""
    add(tmp_path, key(1))

    async def story() -> None:
        first = Watched(tmp_path)
        first.trouble = StorageError("not ready")
        await first.watch(2)
        first.trouble = None
        await first.watch(2)
        revoke(tmp_path)
        await first.watch(2)
        told = [(one.action, one.target, one.actor, one.at_ms) for one in first.noted]
        assert told == [("key.new", "key_1", "me", 1), ("key.revoke", "key_1", "you", 7)]
        first.ring.save()
        second = Watched(tmp_path)
        await second.watch(2)
        assert second.noted == []

    run_virtual(story())


def test_entries_about_a_key_have_the_same_names_after_a_crash(tmp_path: Path) -> None:
    """What was not written down is noted again, and the store takes it once."""
    add(tmp_path, key(1))

    async def story() -> None:
        both = [Watched(tmp_path), Watched(tmp_path)]
        for one in both:
            await one.watch(2)
        assert both[0].noted == both[1].noted
        assert len(both[0].noted) == 1

    run_virtual(story())


def test_last_use_is_written_down_after_a_minute_and_at_the_end(tmp_path: Path) -> None:
    """Not with every request; a restart goes on from it."""

    async def story() -> None:
        watched = Watched(tmp_path)
        watched.ring.used["key_1"] = 5
        await watched.watch(30)
        assert read_notebook(tmp_path).used == {}
        await watched.watch(31)
        assert read_notebook(tmp_path).used == {"key_1": 5}
        watched.ring.used["key_1"] = 6
        watched.ring.save()
        assert Watched(tmp_path).ring.used == {"key_1": 6}

    run_virtual(story())


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{"])
def test_unreadable_notebook_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    """When a key was used last is worth no trouble."""
    (tmp_path / "keys.used.json").write_bytes(content)
    assert read_notebook(tmp_path).used == {}
