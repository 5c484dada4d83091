"""The vault keeps goods sealed, once, and refuses to work with a wrong key."""

import stat
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.vault import SealedVault
from monitor.model.errors import NotFoundError, StorageError, Transient


async def filled(folder: Path) -> str:
    """Store one key and close; returns its digest."""
    file = GoodsFile(folder)
    digest = await SealedVault(file).store("att_1", ["SECRET-KEY-1", "二号"])
    await file.close()
    return digest


async def refusal(folder: Path) -> StorageError:
    file = GoodsFile(folder)
    with pytest.raises(StorageError) as caught:
        await file.open()
    with pytest.raises(Transient):
        await SealedVault(file).goods("att_1")
    with pytest.raises(Transient):
        await SealedVault(file).quarantine("att_1")
    await file.close()
    return caught.value


async def test_goods_survive_a_restart_in_their_order(tmp_path: Path) -> None:
    """What was stored comes back, byte for byte, as often as it is asked for."""
    await filled(tmp_path)
    file = GoodsFile(tmp_path)
    vault = SealedVault(file)
    assert await vault.goods("att_1") == ["SECRET-KEY-1", "二号"]
    assert await vault.goods("att_1") == ["SECRET-KEY-1", "二号"]
    await file.close()


async def test_no_file_shows_a_key_and_all_are_private(tmp_path: Path) -> None:
    """Neither the database nor its log holds the text; only the owner may read them."""
    file = GoodsFile(tmp_path)
    await SealedVault(file).store("att_1", ["SECRET-KEY-1"])
    for path in sorted(tmp_path.iterdir()):
        assert b"SECRET-KEY-1" not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
    assert stat.S_IMODE((tmp_path / "goods.key").stat().st_mode) == 0o600
    await file.close()


async def test_same_goods_again_give_the_same_digest_and_others_are_refused(tmp_path: Path) -> None:
    """One attempt has one set of goods for ever; the digest says nothing about them."""
    first = await filled(tmp_path)
    file = GoodsFile(tmp_path)
    vault = SealedVault(file)
    assert await vault.store("att_1", ["SECRET-KEY-1", "二号"]) == first
    assert await vault.store("att_2", ["SECRET-KEY-3"]) != first
    with pytest.raises(StorageError) as caught:
        await vault.store("att_1", ["SECRET-KEY-2"])
    assert caught.value.code == "goods_differ"
    assert "SECRET" not in str(caught.value)
    assert await vault.goods("att_1") == ["SECRET-KEY-1", "二号"]
    await file.close()


async def test_digest_depends_on_the_key_file(tmp_path: Path) -> None:
    """A guess at a key cannot be checked without the key file."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert await filled(tmp_path / "a") != await filled(tmp_path / "b")


async def test_unknown_attempt_has_no_goods(tmp_path: Path) -> None:
    """Nothing is nothing, and says so."""
    file = GoodsFile(tmp_path)
    with pytest.raises(NotFoundError):
        await SealedVault(file).goods("att_1")
    await file.close()


async def test_missing_key_is_not_replaced(tmp_path: Path) -> None:
    """A new key would make the old goods unreadable for ever."""
    await filled(tmp_path)
    (tmp_path / "goods.key").unlink()
    error = await refusal(tmp_path)
    assert error.code == "goods_key"
    assert "backup" in error.hint
    assert not (tmp_path / "goods.key").exists()


async def test_wrong_key_is_recognised_before_anything_is_written(tmp_path: Path) -> None:
    """Key and database belong together."""
    await filled(tmp_path)
    (tmp_path / "goods.key").write_text("00" * 32)
    before = (tmp_path / "goods.db").read_bytes()
    assert "is not the key of" in str(await refusal(tmp_path))
    assert (tmp_path / "goods.db").read_bytes() == before


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 31])
async def test_damaged_key_file_is_named(tmp_path: Path, text: str) -> None:
    """Half a key is no key."""
    await filled(tmp_path)
    (tmp_path / "goods.key").write_text(text)
    assert "32 bytes in hex" in str(await refusal(tmp_path))


async def test_key_open_to_others_is_refused(tmp_path: Path) -> None:
    """0640 is one group too many; the hint is the command."""
    await filled(tmp_path)
    (tmp_path / "goods.key").chmod(0o640)
    assert "chmod 600" in (await refusal(tmp_path)).hint


async def test_goods_moved_to_another_attempt_cannot_be_opened(tmp_path: Path) -> None:
    """The sealed bytes are bound to their attempt: a swapped row is damage, not a key."""
    await filled(tmp_path)
    file = GoodsFile(tmp_path)
    await file.run(lambda db, _: db.execute("UPDATE goods SET attempt_ref = 'att_9'"))
    with pytest.raises(Transient) as caught:
        await SealedVault(file).goods("att_9")
    assert "changed or moved" in str(caught.value)
    await file.close()


async def test_database_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    """Garbage in the place of the file names the file."""
    (tmp_path / "goods.db").write_bytes(b"this is not a database" * 100)
    error = await refusal(tmp_path)
    assert "goods.db" in str(error)
    assert not (tmp_path / "goods.key").exists()


@pytest.mark.parametrize("goods", [["二号"], ["NEW", "SECRET-KEY-1"], ["NEW", "NEW"]])
async def test_unit_that_somebody_else_has_is_never_given_again(
    tmp_path: Path, goods: list[str]
) -> None:
    """A supplier may sell one key twice; nothing of such goods is kept, and the first owner stays."""
    await filled(tmp_path)
    file = GoodsFile(tmp_path)
    vault = SealedVault(file)
    with pytest.raises(StorageError) as refused:
        await vault.store("att_2", goods)
    assert refused.value.code == "goods_sold_before"
    with pytest.raises(NotFoundError):
        await vault.goods("att_2")
    assert await vault.goods("att_1") == ["SECRET-KEY-1", "二号"]
    await file.close()


async def test_goods_of_an_older_release_belong_to_their_attempts(tmp_path: Path) -> None:
    """Files without the table of given units get it at the first opening."""
    await filled(tmp_path)
    with closing(apsw.Connection(str(tmp_path / "goods.db"))) as older:
        older.execute("DROP TABLE given; PRAGMA user_version = 1")
    file = GoodsFile(tmp_path)
    with pytest.raises(StorageError, match="somebody else"):
        await SealedVault(file).store("att_2", ["二号"])
    await file.close()
