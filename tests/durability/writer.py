"""A small process that uses the real store and the real goods file, and says what was acknowledged.

    python -m tests.durability.writer DATA_DIR SEED COUNT

One line per action: `+N` acknowledged, `-N` refused, `*N` the goods of attempt N are safe. It ends with
3 when the store gives up for good, as the service does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.vault import SealedVault
from monitor.model.errors import DiskFailedError, StorageError
from tests.durability.actions import actions

CHECKPOINT_PAGES = 20
GOODS_EVERY = 6
GAVE_UP = 3


def goods_of(number: int) -> list[str]:
    """What attempt `number` obtained."""
    return [f"key-{number}-{part}" for part in range(3)]


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def _work(data_dir: Path, seed: int, count: int) -> int:
    store = await open_sqlite(data_dir)
    await store._writer.read(lambda sql: sql.pragma("wal_autocheckpoint", CHECKPOINT_PAGES))
    goods = GoodsFile(data_dir)
    vault = SealedVault(goods)
    for number, action in enumerate(actions(seed, count, is_deleting=False), start=1):
        try:
            await action(store)
            _say(f"+{number}")
        except DiskFailedError:
            return GAVE_UP
        except StorageError:
            _say(f"-{number}")
        if number % GOODS_EVERY == 0:
            try:
                await vault.store(str(number), goods_of(number))
                _say(f"*{number}")
            except StorageError:
                pass
    await goods.close()
    await store.close()
    return 0


if __name__ == "__main__":
    try:
        status = asyncio.run(_work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
    except StorageError as refused:  # it could not even be opened
        print(refused, file=sys.stderr)
        status = 1
    # Not a normal end: threads of a store that gave up must not be waited for.
    sys.stdout.flush()
    os._exit(status)
