"""Stories of orders, written row by row into the tables of a shop as that shop does it.

A bench knows one make of shop: its tables, and what each word of a story does to a row. The suite
`tests/contracts/shop_contract.py` runs over every bench in `BENCHES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from monitor.adapters.shops.pull_kind import PullKind
from monitor.adapters.shops.push import Push
from monitor.model.endpoints import ShopSource
from monitor.model.shops import RawRequest
from tests.databases import ShopDatabase

TABLES = Path(__file__).with_name("tables")
SECRET = "CARD-4711-SECRET"  # begins every unit that is sold
BUYER = "buyer@example.org"
SOURCE = "stall"


class Story(msgspec.Struct, frozen=True):
    """What happens to one order: words of its bench by seconds, and what is true in the end.

    `facts`: fields of Facts; times in seconds from the first step, None for what never happened.
    """

    name: str
    steps: tuple[tuple[int, str], ...]
    facts: dict[str, Any]
    faults: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()  # facts whose time is that of the look at them


class ShopBench(ABC):
    """One make of shop on a database of its own."""

    kind: ClassVar[PullKind]
    name: ClassVar[str]
    script: ClassVar[str]  # its tables
    stories: ClassVar[tuple[Story, ...]]
    table: ClassVar[str]  # where orders are
    owed: ClassVar[tuple[str, ...]]  # words that make an order which is paid and not delivered
    zone: ClassVar[str] = "Asia/Shanghai"
    push_kind: ClassVar[type[Push] | None] = None  # for what it sends by itself

    def __init__(self, database: ShopDatabase) -> None:
        self.database = database

    def source(self) -> ShopSource:
        """The source as the configuration has it."""
        return ShopSource(
            SOURCE, self.name, database=self.database.access, timezone=self.zone, currency="CNY"
        )

    def at(self, time_ms: int) -> str:
        """A time as the shop writes it."""
        moment = datetime.fromtimestamp(time_ms // 1_000, UTC).astimezone(ZoneInfo(self.zone))
        return moment.strftime("%Y-%m-%d %H:%M:%S")

    @abstractmethod
    def order_id(self, number: int, made_ms: int) -> str:
        """How the shop names its order of a number."""

    @abstractmethod
    def create(self, number: int, made_ms: int, shop: Any = None) -> None:
        """Put a new order in that waits for its payment; `shop`: on this connection."""

    @abstractmethod
    def step(self, word: str, number: int, made_ms: int, now_ms: int) -> None:
        """Whatever else happens to it."""

    def owe(self, number: int, made_ms: int) -> None:
        """Put an order in that is paid and not delivered."""
        for word in self.owed:
            self.step(word, number, made_ms, made_ms)

    def push(self, word: str, number: int, made_ms: int, now_ms: int) -> RawRequest | None:
        """What the shop sends by itself at that step."""
        return None
