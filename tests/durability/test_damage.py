"""Bytes that changed and files that were cut: found at the start, said, never another number.

A few hundred places by default; every 512 bytes of every file, with a flip and a cut each:

    DELIVERY_MONITOR_DAMAGES=all .venv/bin/pytest -s tests/durability/test_damage.py
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.vault import SealedVault
from monitor.core.engine import Engine
from monitor.model.commands import Batch
from monitor.model.errors import MonitorError
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.runtime.archive import Archive
from monitor.runtime.recovery import KnownOrders, recover
from tests.durability.promise import keep
from tests.durability.shop_log import END_MS, fill
from tests.durability.writer import goods_of

DAMAGES = os.environ.get("DELIVERY_MONITOR_DAMAGES", "240")
STEP = 512
# What a damage may lead to; everything else is a silent wrong number.
SAME, REBUILT, REFUSED = "the same state", "rebuilt to the same state", "refused"


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="damage-", dir=place))
    yield folder
    shutil.rmtree(folder)


async def _state(data_dir: Path) -> tuple[tuple[str, str], str]:
    """Hash of all orders, everything else a restart brings back, and what is said of damage."""
    store = await open_sqlite(data_dir)
    try:
        engine = Engine(Settings(), RuleSet())
        recovered = await recover(store, engine, KnownOrders(), END_MS)
        if recovered.undecided:  # as the loop does before anything else
            engine.handle(Batch(recovered.undecided), END_MS)
        orders = await Archive(store, engine).state_hash(END_MS)
        rest = [recovered.cursor, recovered.position, await store.depth()]
        return (orders.state_hash, repr(rest)), store.damage
    finally:
        await store.close()


async def _after(data_dir: Path, expected: tuple[str, str]) -> str:
    try:
        state, damage = await _state(data_dir)
    except MonitorError as error:
        return REFUSED if error.hint else f"without a way out: {error}"
    if not damage:
        return SAME if state == expected else "another state, and nothing said"
    if state[0] != expected[0]:
        return f"other orders, said: {damage}"
    assert list(data_dir.glob("damaged-*/monitor.db")), damage
    return REBUILT


def _places(folder: Path, names: tuple[str, ...]) -> list[tuple[str, int, bool]]:
    """File, byte, and whether the file is cut there instead of a bit flipped."""
    places = [
        (name, start, is_cut)
        for name in names
        for start in range(0, (folder / name).stat().st_size, STEP)
        for is_cut in (False, True)
    ]
    if DAMAGES == "all":
        return places
    return random.Random(1).sample(places, min(int(DAMAGES), len(places)))


def _damage(path: Path, start: int, is_cut: bool, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if is_cut:
        del content[start:]
    else:
        place = min(start + chance.randrange(STEP), len(content) - 1)
        content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


@pytest.mark.slow
@pytest.mark.timeout(3_600 if DAMAGES == "all" else 120)
@pytest.mark.parametrize("is_killed", [True, False])
async def test_damage_anywhere_is_said_and_never_another_state(
    memory: Path, is_killed: bool
) -> None:
    """Database and write-ahead log, after a stop and after a kill: the same state, or a refusal."""
    await fill(memory / "data", is_killed=is_killed)
    shutil.copytree(memory / "data", memory / "calm")
    expected, damage = await _state(memory / "calm")
    assert damage == ""
    names = ("monitor.db", *(("monitor.db-wal",) if is_killed else ()), "monitor.mark")
    wrongs, ends = [], Counter[str]()
    for number, (name, start, is_cut) in enumerate(_places(memory / "data", names)):
        place = memory / str(number)
        shutil.copytree(memory / "data", place)
        _damage(place / name, start, is_cut, random.Random(number))
        end = await _after(place, expected)
        ends[end] += 1
        if end not in (SAME, REBUILT, REFUSED):
            wrongs.append(f"{name} at {start}, {'cut' if is_cut else 'flipped'}: {end}")
        shutil.rmtree(place)
    print(dict(ends))
    if is_killed:
        keep("P25", tried=ends.total(), violations=len(wrongs))
    assert wrongs == []
    assert ends[REFUSED]
    assert ends[REBUILT] or is_killed  # there nearly all of it is in the log that was damaged


@pytest.mark.parametrize("name", ["monitor.db-shm", "reserve", "lock", "admin.token"])
async def test_files_that_hold_no_orders_do_not_matter(memory: Path, name: str) -> None:
    """They are made anew or overwritten, whatever is in them."""
    await fill(memory / "data", is_killed=True)
    shutil.copytree(memory / "data", memory / "calm")
    expected, _ = await _state(memory / "calm")
    (memory / "data" / name).write_bytes(b"rubbish")
    assert await _after(memory / "data", expected) == SAME


async def _goods(data_dir: Path) -> str:
    goods = GoodsFile(data_dir)
    vault = SealedVault(goods)
    try:
        return repr([await vault.goods(str(number)) for number in range(20)])
    except MonitorError as error:
        return f"said aloud: {error}" if "key-" in str(error) else REFUSED
    finally:
        await goods.close()


@pytest.mark.parametrize("name", ["goods.db", "goods.key"])
async def test_damaged_goods_are_never_other_goods(memory: Path, name: str) -> None:
    """A key that cannot be read is refused; none is handed out as something else."""
    goods = GoodsFile(memory / "data")
    (memory / "data").mkdir()
    for number in range(20):
        await SealedVault(goods).store(str(number), goods_of(number))
    await goods.close()
    expected = await _goods(memory / "data")
    refused = 0
    for number in range(60):
        place = memory / str(number)
        shutil.copytree(memory / "data", place)
        chance = random.Random(number)
        size = (place / name).stat().st_size
        _damage(place / name, chance.randrange(size), number % 3 == 0, chance)
        end = await _goods(place)
        assert end in (expected, REFUSED)
        refused += end == REFUSED
        shutil.rmtree(place)
    assert refused
