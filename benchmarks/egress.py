"""Requests to addresses inside, in every spelling (P18): how many make a connection.

    python -m benchmarks.egress [--spellings N] [--record]

The corpus of `tests/security/places.py`, then addresses drawn at random from all private networks,
each written in every way that corpus knows. Every `connect` of the process is counted, and one that
would leave the machine is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from benchmarks.promises import record
from monitor.adapters.http_client import Blocked, HttpClient
from monitor.model.errors import EffectError
from tests.security.connections import Names, connections, listening
from tests.security.places import ANSWERS, LITERALS, PRIVATE, spellings

SEED = 18


async def measure(count: int, *, hole: bool = False) -> tuple[int, int, Blocked]:
    """Send `count` requests and more; (requests, connections, refusals by reason).

    `hole` opens every network: then there must be connections.
    """
    blocked = Blocked()
    networks = ("0.0.0.0/0", "::/0") if hole else ()
    tried = 0
    async with listening() as (port, callers):
        with connections() as dialled:
            client = HttpClient(allow_networks=networks, blocked=blocked)
            for url in _urls(port, count):
                with suppress(EffectError):
                    await client.request("POST", url, timeout_ms=2_000)
                tried += 1
            await client.close()
            for answers in ANSWERS:
                client = HttpClient(
                    allow_networks=networks, resolver=Names(answers), blocked=blocked
                )
                with suppress(EffectError):
                    await client.request("POST", f"http://public.example:{port}/")
                await client.close()
                tried += 1
    return tried, max(len(dialled), len(callers)), blocked


def _urls(port: int, count: int) -> Iterator[str]:
    yield from (url.format(port=port) for url in LITERALS)
    chance = random.Random(SEED)
    left = count
    while left > 0:
        network = chance.choice(PRIVATE)
        for spelling in spellings(network[chance.randrange(network.num_addresses)]):
            yield f"http://{spelling}:{port}/"
            left -= 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep the figure; 1 when there was a connection."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--spellings", type=int, default=20_000)
    parser.add_argument("--record", action="store_true", help="keep it for docs/promises.md")
    options = parser.parse_args(arguments)
    tried, made, blocked = asyncio.run(measure(options.spellings))
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(blocked.items()))
    print(f"{made} connections in {tried} requests; refused: {reasons}")
    if options.record:
        record("P18", tried=tried, violations=made, note=f"{len(LITERALS)} URLs by hand")
    return int(made > 0)


if __name__ == "__main__":
    sys.exit(main())
