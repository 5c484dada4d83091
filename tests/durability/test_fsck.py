"""`fsck`: sound directories pass, each kind of damage is named, and repaired with what is sound."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.storage.directory import DirectoryLock
from monitor.adapters.storage.sqlite_log import crc32_of
from monitor.adapters.vault import SealedVault
from monitor.cli.main import main
from monitor.ports import Segment
from tests.durability.sender import logged
from tests.durability.shop_log import fill

CUT_LOG = """
    DELETE FROM segments WHERE position > 40;
    UPDATE sqlite_sequence SET seq = 40 WHERE name = 'segments'
"""
NEVER_SENT = """
    INSERT INTO outbox (key, lane, body, due_ms, is_repeatable, tries, state)
    SELECT 'k', 'l', '{"t":"webhook"}', 0, 1, 0, 0
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of some 90 orders, with goods, as a stop leaves it."""
    data_dir = tmp_path_factory.mktemp("sound") / "data"
    asyncio.run(_fill(data_dir))
    return data_dir


async def _fill(data_dir: Path) -> None:
    await fill(data_dir, is_killed=False)
    goods = GoodsFile(data_dir)
    await SealedVault(goods).store("a", ["key"])
    await goods.close()


@pytest.fixture
def data_dir(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"


def _change(data_dir: Path, statement: str, name: str = "monitor.db") -> None:
    with apsw.Connection(str(data_dir / name)) as connection:
        connection.execute(statement)
    connection.close()


def _fsck(
    data_dir: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code and the findings by name."""
    code = main(["fsck", "--data-dir", str(data_dir), "--json", *more])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["ok"] == (code == 0)
    return code, {one["check"]: one for one in said["checks"]}


def test_sound_directory_passes(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All checks are named, orders are those of the log."""
    before = {path.name: path.read_bytes() for path in data_dir.glob("monitor.db")}
    code, found = _fsck(data_dir, capsys)
    assert code == 0
    assert list(found) == [
        "end of the log", "pages and checksums", "log", "orders", "outbox", "goods", "relay",
    ]  # fmt: skip
    assert "90 orders" in found["orders"]["found"]
    assert "the same as of the log" in found["orders"]["found"]
    assert {path.name: path.read_bytes() for path in data_dir.glob("monitor.db")} == before


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("end of the log", CUT_LOG),
        ("end of the log", "UPDATE meta SET commits = 3"),
        ("pages and checksums", "UPDATE orders SET body = replace(body, 'order-1', 'order-2')"),
        ("pages and checksums", "UPDATE meta SET cursor = cursor - 2"),
        ("log", "DELETE FROM segments WHERE position = 7"),
        ("outbox", NEVER_SENT),
    ],
)
def test_damage_is_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str], check: str, statement: str
) -> None:
    """The check that looks at it says so, with something to do."""
    _change(data_dir, statement)
    code, found = _fsck(data_dir, capsys)
    assert code == 1
    assert found[check]["state"] == "finding"
    assert found[check]["advice"]


def test_orders_that_the_log_does_not_know_are_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An event that is gone from the log, with a checksum that is right."""
    with apsw.Connection(str(data_dir / "monitor.db")) as connection:
        row: Any = connection.execute(
            "SELECT kind, count, first_ms, last_ms, body FROM segments WHERE position = 1"
        ).fetchone()
        segment = Segment(*row)
        body = segment.body.replace(b'"amount_minor":1000', b'"amount_minor":1001')
        fewer = msgspec.structs.replace(segment, body=body)
        connection.execute(
            "UPDATE segments SET body = ?, crc32 = ? WHERE position = 1",
            (fewer.body, crc32_of(fewer)),
        )
    connection.close()
    code, found = _fsck(data_dir, capsys)
    assert code == 1
    assert found["pages and checksums"]["state"] == "ok"
    assert "the log says" in found["orders"]["found"]


def test_goods_of_another_key_are_named(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sealed goods that do not open with the key, without a word of what is in them."""
    _change(data_dir, "UPDATE goods SET sealed = zeroblob(60)", "goods.db")
    code, found = _fsck(data_dir, capsys)
    assert code == 1
    assert "cannot be opened" in found["goods"]["found"]


def test_repair_keeps_what_is_sound_and_names_what_is_lost(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a log that has a hole: the rest, the orders, and the damaged files beside it."""
    _change(data_dir, "DELETE FROM segments WHERE position IN (7, 8)")
    _change(data_dir, "UPDATE orders SET body = x'00' WHERE order_id = 'order-1'")
    code, found = _fsck(data_dir, capsys, "--repair")
    assert "lost: 2 log positions, order order-1" in found["repair"]["found"]
    assert list(data_dir.glob("damaged-1/monitor.db"))
    assert code == 1  # the hole is still one
    assert found["pages and checksums"]["state"] == "ok"
    assert len(asyncio.run(logged(data_dir))) > 100


def test_repair_of_a_whole_log_loses_nothing(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orders, snapshot and history follow from it."""
    _change(data_dir, "UPDATE orders SET body = x'00'; UPDATE snapshots SET body = x'00'")
    code, found = _fsck(data_dir, capsys, "--repair")
    assert code == 0
    assert "nothing is lost" in found["repair"]["found"]
    assert "90 orders" in found["orders"]["found"]


def test_doctor_names_what_was_put_aside(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until somebody looked at it."""
    main(["doctor", "--data-dir", str(data_dir)])
    assert "put aside" not in capsys.readouterr().out
    _change(data_dir, "UPDATE orders SET body = x'00'")
    _fsck(data_dir, capsys, "--repair")
    assert main(["doctor", "--data-dir", str(data_dir)]) == 1
    assert "put aside in damaged-1" in capsys.readouterr().out


def test_repair_is_refused_while_the_service_runs(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever holds the lock keeps the files."""
    _change(data_dir, "UPDATE orders SET body = x'00'")
    lock = DirectoryLock(data_dir)
    assert main(["fsck", "--data-dir", str(data_dir), "--repair"]) == 1
    lock.release()
    assert "in use by process" in capsys.readouterr().err


def test_directory_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit 1; an unknown option is 2."""
    assert main(["fsck", "--data-dir", str(tmp_path / "none")]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert main(["fsck", "--nonsense"]) == 2
