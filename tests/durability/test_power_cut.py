"""Power cuts: whatever the disk kept of what was not synced, all that was acknowledged is there.

2,000 images by default, about a quarter of a minute; the long run of the promise:

    DELIVERY_MONITOR_IMAGES=100000 .venv/bin/pytest -s tests/durability/test_power_cut.py
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_store import SqliteStore
from monitor.model.errors import StorageError
from monitor.ports import Segment
from tests.durability.actions import Action, actions, fingerprint, fingerprints
from tests.durability.power_cut import Image, images
from tests.durability.promise import is_time_up, keep
from tests.durability.recording_vfs import Mark, Tape, recording

IMAGES = int(os.environ.get("DELIVERY_MONITOR_IMAGES", "2000"))
PER_RECORDING = 1_000
ACTIONS = 60
# Far less than in the service: then a short recording has many checkpoints and restarts of the log.
CHECKPOINT_PAGES = 30


class Report(msgspec.Struct):
    """What was looked at; printed at the end."""

    images: int = 0
    lost: int = 0
    corrupt: int = 0


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of images are written and synced."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="power-cut-", dir=place))
    yield folder
    shutil.rmtree(folder)


async def _record(
    folder: Path, chosen: list[Action], *, pragma: str = "", is_hasty: bool = False
) -> list[Mark]:
    """Marks of a real store under these actions; `pragma` and `is_hasty` are planted mistakes."""
    with recording() as tape:
        store = await open_sqlite(folder)
        await _pragma(store, f"wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if pragma:
            await _pragma(store, pragma)
        await _perform(store, chosen, tape, is_hasty=is_hasty)
        end = len(tape.marks)
        await store.close()
    return tape.marks[:end]


async def _perform(store: SqliteStore, chosen: list[Action], tape: Tape, *, is_hasty: bool) -> None:
    for number, action in enumerate(chosen, start=1):
        if is_hasty:
            tape.acknowledge(number)
        await action(store)
        tape.acknowledge(number)


async def _pragma(store: SqliteStore, text: str) -> None:
    await store._writer.read(lambda sql: sql.execute(f"PRAGMA {text}").fetchall())


async def _wrong(folder: Path, image: Image, expected: list[str]) -> str | None:
    """What is wrong with an image: `lost`, `corrupt`, or nothing."""
    place = folder / "image"
    image.write_to(place)
    try:
        store = await open_sqlite(place)
        try:
            found = await fingerprint(store)
            sound = await store._writer.read(lambda sql: sql.pragma("integrity_check"))
            await store.append(Segment("entries", 1, 1, 1, b"{}"))  # and the service goes on
        finally:
            await store.close()
    except (StorageError, apsw.Error) as error:
        return f"corrupt: {error}"
    finally:
        shutil.rmtree(place)
    if sound != "ok":
        return f"corrupt: {sound}"
    # More may be there than was acknowledged: only fewer actions, or a half one, are wrong.
    return None if found in expected[image.acknowledged :] else "lost"


async def _count(
    folder: Path, marks: list[Mark], expected: list[str], count: int, seed: int, report: Report
) -> list[str]:
    wrongs = []
    for image in images(marks, count, seed):
        report.images += 1
        wrong = await _wrong(folder, image, expected)
        if wrong is not None:
            report.lost += wrong == "lost"
            report.corrupt += wrong != "lost"
            wrongs.append(f"seed {seed}, image {image.number}, mark {image.mark}: {wrong}")
    return wrongs


@pytest.mark.slow
@pytest.mark.timeout(120 + IMAGES // 20)
async def test_power_cut_at_any_sync_loses_nothing_acknowledged(memory: Path) -> None:
    """Every image holds some first part of the actions, whole, with all that was acknowledged."""
    report, wrongs = Report(), []
    for seed in range(max(1, IMAGES // PER_RECORDING)):
        if is_time_up():
            break
        chosen = actions(seed, ACTIONS)
        marks = await _record(memory / f"recorded-{seed}", chosen)
        expected = await fingerprints(chosen)
        count = min(IMAGES, PER_RECORDING)
        wrongs += await _count(memory, marks, expected, count, seed, report)
        shutil.rmtree(memory / f"recorded-{seed}")
    print(msgspec.json.encode(report).decode())
    keep("P2", tried=report.images, violations=len(wrongs))
    assert wrongs == []
    assert report.images >= IMAGES or is_time_up()


@pytest.mark.parametrize(
    ("pragma", "is_hasty", "finds"),
    [
        ("synchronous = NORMAL", False, "lost"),
        ("synchronous = OFF", False, "corrupt"),
        ("", True, "lost"),
    ],
)
async def test_careless_store_is_caught(
    memory: Path, pragma: str, is_hasty: bool, finds: str
) -> None:
    """A commit that is not synced, or acknowledged too early, shows in the images."""
    chosen = actions(0, ACTIONS)
    marks = await _record(memory / "recorded", chosen, pragma=pragma, is_hasty=is_hasty)
    expected = await fingerprints(chosen)
    report = Report()
    await _count(memory, marks, expected, 200, 0, report)
    assert getattr(report, finds) > 0
