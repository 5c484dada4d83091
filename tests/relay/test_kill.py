"""Relay and shop as processes of their own, both killed on the way: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from benchmarks.relay import Stage, drained, duplicates, send, wreck

CALLBACKS = int(os.environ.get("RELAY_CALLBACKS", "800"))
KILLS = int(os.environ.get("RELAY_KILLS", "2"))


async def test_duplicates_are_one_processing_and_kills_lose_no_callback(tmp_path: Path) -> None:
    """The shop's book has each order once, and later each that the gateway got a yes for."""
    stage = Stage(tmp_path)
    await stage.open()
    try:
        await duplicates(stage.port, "/relay/main/epay", 3, 50)
        assert dict(stage.book().orders) == {"dup0": 1, "dup1": 1, "dup2": 1}
        orders = [f"o{number:06d}" for number in range(CALLBACKS)]
        wrecking = asyncio.create_task(wreck(stage, 7, KILLS, CALLBACKS, 0.1))
        _, failures = await send(stage.port, "/relay/main/epay", orders)
        await wrecking
        assert failures > 0  # somebody was killed while he was needed
        assert await drained(stage, CALLBACKS + 3, 60) == 0
    finally:
        stage.close()
