"""Posting a set of events to a running service as badly as many shops together would."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import aiohttp

CONNECTIONS = 6
BATCH_MAX = 1_000
TRIES_MAX = 100
TIMEOUT = aiohttp.ClientTimeout(total=60)


def batches(lines: list[bytes], chance: random.Random, doubled_share: float) -> list[list[bytes]]:
    """Shuffle the lines, a share of them twice, and cut them into batches of 1 to 1,000."""
    doubled = chance.sample(lines, round(len(lines) * doubled_share))
    shuffled = chance.sample(lines + doubled, len(lines) + len(doubled))
    cut: list[list[bytes]] = []
    while shuffled:
        # As many small batches as large ones: the exponent is uniform, not the size.
        size = round(BATCH_MAX ** chance.random())
        cut.append(shuffled[:size])
        shuffled = shuffled[size:]
    return cut


async def post_all(url: str, parts: list[list[bytes]]) -> Counter[str]:
    """Post every batch over several connections at once; counts what the service said."""
    waiting = list(reversed(parts))
    said: Counter[str] = Counter()

    async def connection(session: aiohttp.ClientSession) -> None:
        while waiting:
            answer = await _post(session, f"{url}/v1/events", b"\n".join(waiting.pop()))
            said["accepted"] += answer["accepted"]
            said["duplicates"] += answer["duplicates"]
            said["rejected"] += len(answer["rejected"])
            said["warnings"] += len(answer["warnings"])

    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        await asyncio.gather(*(connection(session) for _ in range(CONNECTIONS)))
    return said


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> dict[str, Any]:
    """Post until it is taken; an overloaded service says when to come back."""
    headers = {"Content-Type": "application/x-ndjson"}
    for _ in range(TRIES_MAX):
        async with session.post(url, data=body, headers=headers) as answer:
            if answer.status == 202:
                found: dict[str, Any] = await answer.json()
                return found
            assert answer.status in {429, 503}, await answer.text()
            await asyncio.sleep(float(answer.headers["Retry-After"]))
    raise AssertionError(f"not taken after {TRIES_MAX} tries")
