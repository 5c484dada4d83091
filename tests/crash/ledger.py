"""What really happened, written down by those it happened to: shop and suppliers, never the monitor.

One JSON line per fact, synced by nobody and lost by nobody: this process is never killed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kind`: paid, claim, asked, bought, offered, delivered, late, refunded, person, kill.

    Of what playbooks ask for, by `ref`, the action: told, given (`amount_minor`), back.
    """

    kind: str
    at_ms: int
    order_id: str = ""
    who: str = ""  # supplier, or crash point
    ref: str = ""  # attempt, or takeover
    fence: int = 0
    goods: tuple[str, ...] = ()
    detail: str = ""
    amount_minor: int = 0


class Ledger:
    """Appends facts to a file and gives them back."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._encoder = msgspec.json.Encoder()

    def write(self, kind: str, **facts: object) -> None:
        """Write down one fact, now."""
        fact = msgspec.convert({"kind": kind, "at_ms": now_ms(), **facts}, Fact)
        self._file.write(self._encoder.encode(fact) + b"\n")


def now_ms() -> int:
    """The true time; the service's clock may say something else."""
    return time.time_ns() // 1_000_000


def facts_of(path: Path) -> Iterator[Fact]:
    """Everything in a ledger, in the order in which it happened."""
    decoder = msgspec.json.Decoder(Fact)
    yield from (decoder.decode(line) for line in path.read_bytes().splitlines())
