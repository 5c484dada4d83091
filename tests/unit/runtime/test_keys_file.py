"""The file of the keys: whole or not at all, private, and never silently empty."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monitor.model.errors import ConfigError
from monitor.model.keys import KEYS_MAX, ApiKey
from monitor.runtime.keys_file import FILE_NAME, change_keys, read_keys, stamp


def key(number: int, revoked_ms: int | None = None) -> ApiKey:
    return ApiKey(
        f"key_{number}", f"n{number}", f"{number:064x}", "abcd", ("ingest",), 1, "me",
        revoked_ms=revoked_ms,
    )  # fmt: skip


def add(data_dir: Path, *keys: ApiKey) -> None:
    change_keys(data_dir, lambda known: (*known, *keys))


def test_keys_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Only the owner may read them; nothing but the file and its lock is left."""
    data_dir = tmp_path / "data"
    assert read_keys(data_dir) == ()
    keys = (key(1), key(2, revoked_ms=5))
    add(data_dir, *keys)
    assert read_keys(data_dir) == keys
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in data_dir.iterdir()}
    assert modes == {"keys.json": 0o600, "keys.lock": 0o600}
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_change_replaces_the_file(tmp_path: Path) -> None:
    """A reader has the old keys or the new ones; the stamp tells them apart."""
    add(tmp_path, key(1))
    before = stamp(tmp_path)
    with (tmp_path / FILE_NAME).open("rb") as old:
        add(tmp_path, key(2))
        assert b"key_2" not in old.read()
    assert stamp(tmp_path) != before
    assert [one.key_id for one in read_keys(tmp_path)] == ["key_1", "key_2"]


def test_change_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """Also no draft."""
    add(tmp_path, key(1))

    def refuse(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        raise ValueError(len(keys))

    with pytest.raises(ValueError, match="1"):
        change_keys(tmp_path, refuse)
    assert [one.key_id for one in read_keys(tmp_path)] == ["key_1"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["keys.json", "keys.lock"]


def test_commands_at_the_same_time_take_turns(tmp_path: Path) -> None:
    """None of their keys is lost."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add(tmp_path, key(number)), range(24)))
    assert {one.key_id for one in read_keys(tmp_path)} == {f"key_{number}" for number in range(24)}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version":1}', b'{"version":2,"keys":[]}', b"\xff", b"[" * 100_000,
     b'{"version":1,"keys":[{"key_id":"a"}]}', b" " * (4 * 1024 * 1024 + 1)],
)  # fmt: skip
def test_damaged_file_is_an_error_and_never_no_keys(tmp_path: Path, content: bytes) -> None:
    """No keys would mean an open door; what it held is not repeated."""
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_keys(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / FILE_NAME}:1:1 ")
    with pytest.raises(ConfigError):
        add(tmp_path, key(1))
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_revoked_keys_give_way_to_new_ones_the_oldest_first(tmp_path: Path) -> None:
    """Keys in force never do: then the new one is refused."""
    kept = tuple(key(number) for number in range(KEYS_MAX - 2))
    add(tmp_path, *kept, key(9001, revoked_ms=9), key(9002, revoked_ms=5))
    add(tmp_path, key(9003))
    assert {"key_9001", "key_9003"} == {one.key_id for one in read_keys(tmp_path)[-2:]}
    add(tmp_path, key(9004))
    with pytest.raises(ConfigError, match="not revoked"):
        add(tmp_path, key(9005))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can write as another user")
def test_file_that_root_writes_belongs_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    """The service need not be root to read it."""
    os.chown(tmp_path, 65532, 65532)
    add(tmp_path, key(1))
    assert {(one.stat().st_uid, one.stat().st_gid) for one in tmp_path.iterdir()} == {
        (65532, 65532)
    }
