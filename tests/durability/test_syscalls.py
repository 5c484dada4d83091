"""Every write, sync, truncate, link, rename and unlink fails once, for ever, or kills the process.

A sample by default, a quarter of a minute; every point:

    DELIVERY_MONITOR_FAULTS=all .venv/bin/pytest -s tests/durability/test_syscalls.py
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.storage.memory import MemoryStore
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.vault import SealedVault
from monitor.model.errors import FencedError, MonitorError
from tests.durability.actions import actions, fingerprint
from tests.durability.promise import is_time_up, keep
from tests.durability.tracing import why_not
from tests.durability.writer import GAVE_UP, goods_of
from tests.e2e.serving import ENVIRONMENT, ROOT

FAULTS = os.environ.get("DELIVERY_MONITOR_FAULTS", "30")
SEED, ACTIONS = 1, 18
CALLS = (
    "write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,fallocate,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat"
)
DATABASES = ("monitor.db", "goods.db")
NAMES = [f"{one}{end}" for one in DATABASES for end in ("", "-wal", "-shm", "-journal")]
# `when=N` is the N-th such call of a thread; `N+` is that one and all that follow.
KINDS = ("error=EIO:when={}", "error=EIO:when={}+", "error=ENOSPC:when={}", "error=ENOSPC:when={}+",
         "signal=KILL:when={}")  # fmt: skip


class Point(msgspec.Struct, frozen=True):
    """One fault of one run."""

    call: str
    fault: str


class Outcome(msgspec.Struct, frozen=True):
    """How the process ended and what it said before."""

    status: int
    acknowledged: tuple[int, ...]
    refused: tuple[int, ...]
    goods: tuple[int, ...]


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of runs sync hundreds of times."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="syscalls-", dir=place))
    yield folder
    shutil.rmtree(folder)


def _run(data_dir: Path, log: Path, *options: str) -> Outcome:
    """The writer under strace; only calls on files of the data directory are traced or fail."""
    watched = [data_dir, *(data_dir / name for name in (*NAMES, "goods.key"))]
    done = subprocess.run(
        ["strace", "-f", "-o", str(log), *(f"-P{path}" for path in watched), *options,
         sys.executable, "-m", "tests.durability.writer", str(data_dir), str(SEED), str(ACTIONS)],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    said = done.stdout.decode().split()
    numbers = {mark: tuple(int(one[1:]) for one in said if one[0] == mark) for mark in "+-*"}
    return Outcome(done.returncode, numbers["+"], numbers["-"], numbers["*"])


def _points(folder: Path) -> list[Point]:
    """Every call of a run without faults, times every kind of fault."""
    folder.mkdir()
    log = folder / "calls"
    outcome = _run(folder / "data", log, f"-etrace={CALLS}")
    assert outcome.status == 0
    assert not outcome.refused
    counts: Counter[tuple[str, str]] = Counter()
    for thread, call in re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE):
        counts[thread, call] += 1
    most: dict[str, int] = {}
    for (_, call), count in counts.items():
        most[call] = max(count, most.get(call, 0))
    return [
        Point(call, kind.format(number))
        for call, count in sorted(most.items())
        for number in range(1, count + 1)
        for kind in KINDS
    ]


def _sample(points: list[Point]) -> list[Point]:
    """Evenly spread, so that every kind of call is met; rare calls first.

    All of them in no order: a run that is given too little time has met every kind too.
    """
    if FAULTS == "all":
        return random.Random(SEED).sample(points, len(points))
    rare = [one for one in points if one.call not in ("pwrite64", "fdatasync")]
    often = [one for one in points if one.call in ("pwrite64", "fdatasync")]
    wanted = int(FAULTS)
    return [*_spread(rare, wanted // 3), *_spread(often, wanted - wanted // 3)]


def _spread(points: list[Point], count: int) -> list[Point]:
    # A step that shares no factor with the kinds, so that all kinds are met.
    step = max(1, len(points) // count)
    while step % len(KINDS) == 0:
        step += 1
    return points[::step][:count]


async def _wrong(data_dir: Path, outcome: Outcome) -> str | None:
    """What the store and the goods file hold is what was acknowledged, or one action more."""
    try:
        store = await open_sqlite(data_dir)
        try:
            found = await fingerprint(store)
            sound = await store._writer.read(lambda sql: sql.pragma("integrity_check"))
        finally:
            await store.close()
        goods = GoodsFile(data_dir)
        kept = [await SealedVault(goods).goods(str(one)) for one in outcome.goods]
        await goods.close()
    except MonitorError as error:
        return f"not readable: {error}"
    if sound != "ok":
        return f"corrupt: {sound}"
    if kept != [goods_of(one) for one in outcome.goods]:
        return "goods lost"
    last = max((*outcome.acknowledged, *outcome.refused), default=0)
    possible = [await _twin(outcome.acknowledged)]
    if outcome.status != 0 and last < ACTIONS:  # died or gave up: the last one is nobody's
        possible.append(await _twin((*outcome.acknowledged, last + 1)))
    return None if found in possible else "not what was acknowledged"


async def _twin(numbers: tuple[int, ...]) -> str:
    """Fingerprint after just these actions."""
    twin = MemoryStore()
    chosen = actions(SEED, ACTIONS, is_deleting=False)
    for number in numbers:
        # Without a lease, when that was what failed, a commit is refused by both.
        with suppress(FencedError):
            await chosen[number - 1](twin)
    return await fingerprint(twin.clone_durable())


@pytest.mark.slow
@pytest.mark.timeout(7_200 if FAULTS == "all" else 300)
async def test_fault_at_any_call_keeps_what_was_acknowledged(memory: Path) -> None:
    """After each fault the files are sound and hold what was acknowledged, and nothing refused."""
    chosen = _sample(_points(memory / "calm"))
    wrongs, ends = [], Counter[int]()
    for number, point in enumerate(chosen):
        if is_time_up():
            break
        data_dir = memory / str(number)
        outcome = _run(
            data_dir,
            Path(os.devnull),
            f"-etrace={point.call}",
            f"-einject={point.call}:{point.fault}",
        )
        ends[outcome.status] += 1
        wrong = await _wrong(data_dir, outcome)
        if wrong is not None:
            wrongs.append(f"{point.call} {point.fault}: {wrong} {outcome}")
        shutil.rmtree(data_dir)
    print(f"{ends.total()} of {len(chosen)} faults, ends {dict(ends)}")
    note = f"{len(chosen):,} places and kinds there are"
    keep("P3", tried=ends.total(), violations=len(wrongs), note=note)
    assert wrongs == []
    assert ends[GAVE_UP]
    assert ends[0]


async def test_acknowledgement_that_was_not_kept_is_caught(memory: Path) -> None:
    """The oracle sees an action that was acknowledged and is missing, and one refused but kept."""
    outcome = _run(memory / "data", Path(os.devnull), "-etrace=unlink")
    assert outcome.status == 0
    assert await _wrong(memory / "data", outcome) is None
    fewer = msgspec.structs.replace(outcome, acknowledged=outcome.acknowledged[:-1])
    assert await _wrong(memory / "data", fewer) == "not what was acknowledged"
    lost = msgspec.structs.replace(outcome, goods=(*outcome.goods, 99))
    assert "not readable" in str(await _wrong(memory / "data", lost))
