"""What every shop that is read in its database promises: the suite of `ShopPull`.

A street tells the stories of a bench, several orders of each at a time, and looks at the tables
every 15 s. Beside a careful reader stands one for whom everything goes wrong that may: what the
shop sends is lost, doubled and late, pages come twice, marks are lost.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec
import pymysql
import pytest

from monitor.adapters.shops.facts import Facts, Naming
from monitor.core.engine import Engine
from monitor.core.orders.order import Order
from monitor.model.commands import Batch, Command
from monitor.model.events import OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.shops import RawRequest
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from monitor.ports import ShopPull
from tests.databases import READER
from tests.shops.bench import BUYER, SECRET, SOURCE, ShopBench, Story

START_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z, 10:00 in Shanghai
POLL_MS = 15 * SECOND_MS
COPIES = 2
STORIES_MS = 15 * MINUTE_MS
PAGES_MAX = 1_000
QUESTIONS_MAX = 2  # of one look while nothing happens
NAMING = Naming(lambda text: f"c-{hash(text)}", lambda text: f"g-{hash(text)}")


class Reader:
    """Reads one bench into an engine of its own, page after page."""

    def __init__(self, bench: ShopBench) -> None:
        self.bench = bench
        self.engine = Engine(Settings(), RuleSet())
        self.events: list[OrderEvent] = []
        self.commands: list[Command] = []
        self.mark = ""
        self.pull = self._open()

    def _open(self) -> ShopPull:
        source = self.bench.source()
        facts = Facts(SOURCE, NAMING, timezone=source.timezone, currency=source.currency)
        return self.bench.kind(source, facts)

    async def poll(self, now_ms: int) -> list[OrderEvent]:
        """Everything new, as it goes to the engine."""
        found: list[OrderEvent] = []
        for _page in range(PAGES_MAX):
            polled = await self.pull.poll(self.mark, now_ms)
            found += polled.events
            self.mark = polled.mark
            if polled.is_last:
                self.take(found, now_ms)
                return found
        raise AssertionError("a shop of a few rows has no thousand pages")

    def take(self, events: Sequence[OrderEvent], now_ms: int) -> None:
        self.events += events
        self.commands += self.engine.handle(Batch(tuple(events)), now_ms)

    async def restart(self, *, is_mark_lost: bool) -> None:
        await self.pull.close()
        self.pull = self._open()
        if is_mark_lost:
            self.mark = ""

    def orders(self) -> dict[str, Order]:
        return dict(self.engine.shard.orders)


class Deaf(Reader):
    """Hears nothing of what the shop sends by itself."""


class Unlucky(Reader):
    """Gets a third of what is sent not at all, a third twice, and nothing in order."""

    def __init__(self, bench: ShopBench, seed: int) -> None:
        super().__init__(bench)
        self._chance = random.Random(seed)
        self._late: list[tuple[int, OrderEvent]] = []

    def hear(self, events: Sequence[OrderEvent], now_ms: int) -> None:
        """What the shop sends by itself."""
        for event in events:
            for _time in range(self._chance.choices((0, 1, 2), (30, 40, 30))[0]):
                self._late.append((now_ms + self._chance.randrange(5 * MINUTE_MS), event))

    async def poll(self, now_ms: int) -> list[OrderEvent]:
        if self._chance.random() < 0.1:
            await self.restart(is_mark_lost=self._chance.random() < 0.5)
        due = [event for at_ms, event in self._late if at_ms <= now_ms]
        self._late = [one for one in self._late if one[0] > now_ms]
        self._chance.shuffle(due)
        self.take(due, now_ms)
        before = self.mark
        found = await super().poll(now_ms)
        if self._chance.random() < 0.3:  # the mark was not kept, the events were
            self.mark = before
        again = self._chance.sample(found, len(found) // 3)
        self._chance.shuffle(again)
        self.take(again, now_ms)
        return found


class Street:
    """All stories of a bench at once, `COPIES` of each, shifted against each other."""

    def __init__(self, bench: ShopBench) -> None:
        self.bench = bench
        numbers = count(1)
        self.orders: dict[str, tuple[Story, int]] = {}
        self._steps: list[tuple[int, int, int, str]] = []
        for copy in range(COPIES):
            for story in bench.stories:
                number, made_ms = next(numbers), START_MS + copy * 7 * SECOND_MS
                self.orders[bench.order_id(number, made_ms)] = (story, made_ms)
                self._steps += [
                    (made_ms + at_s * SECOND_MS, number, made_ms, word)
                    for at_s, word in story.steps
                ]
        self._steps.sort()

    def pass_time(self, from_ms: int, to_ms: int) -> list[tuple[int, RawRequest]]:
        """Do what happens in a while; what the shop sends meanwhile."""
        sent = []
        for at_ms, number, made_ms, word in self._steps:
            if not from_ms <= at_ms < to_ms:
                continue
            if word == "create":
                self.bench.create(number, made_ms)
            else:
                self.bench.step(word, number, made_ms, at_ms)
            push = self.bench.push(word, number, made_ms, at_ms)
            if push is not None:
                sent.append((at_ms, push))
        return sent

    def understood(self, sent: Sequence[tuple[int, RawRequest]]) -> list[OrderEvent]:
        """What the requests of the shop say."""
        source, make = self.bench.source(), self.bench.push_kind
        if make is None:
            return []
        reader = make(source, Facts(SOURCE, NAMING, timezone=source.timezone, currency="CNY"))
        return [event for _at_ms, push in sent for event in reader.read(push).events]


async def told(bench: ShopBench, *readers: Reader) -> Street:
    """Tell all stories to some readers that look every 15 s."""
    street = Street(bench)
    for now_ms in range(START_MS, START_MS + STORIES_MS, POLL_MS):
        sent = street.understood(street.pass_time(now_ms - POLL_MS, now_ms))
        for reader in readers:
            if isinstance(reader, Unlucky):
                reader.hear(sent, now_ms)
            elif not isinstance(reader, Deaf):
                reader.take(sent, now_ms)
            await reader.poll(now_ms)
    for reader in readers:
        await reader.poll(START_MS + STORIES_MS + 10 * MINUTE_MS)
        await reader.pull.close()
    return street


def expected(story: Story, made_ms: int) -> dict[str, Any]:
    """The facts of a story with its times as of one order."""
    return {
        name: made_ms + value * SECOND_MS if name.endswith("_ms") and value is not None else value
        for name, value in story.facts.items()
    }


def statements(bench: ShopBench) -> list[str]:
    """What the reader's user said to this server about this database since it was made."""
    found = bench.database.write(
        "SELECT argument FROM mysql.general_log WHERE user_host LIKE %s AND command_type = 'Query'"
        " AND thread_id IN (SELECT thread_id FROM mysql.general_log WHERE command_type = 'Connect'"
        "                   AND argument LIKE %s) ORDER BY event_time",
        f"{READER}[%", f"%% on {bench.database.place['database']} %%",
    ).fetchall()  # fmt: skip
    return [bytes(row[0]).decode() if not isinstance(row[0], str) else row[0] for row in found]


class ShopContract:
    """Promises of a shop that is read; `bench` is a fixture of whoever runs the suite."""

    async def test_every_story_is_told(self, bench: ShopBench) -> None:
        """Facts and faults are those that were written down by hand, to the second or to a look."""
        readers = Reader(bench), Deaf(bench)
        street = await told(bench, *readers)
        for reader in readers:
            self._compare(street, reader.orders())

    def _compare(self, street: Street, orders: dict[str, Order]) -> None:
        assert orders.keys() == street.orders.keys()
        for order_id, (story, made_ms) in street.orders.items():
            wanted = expected(story, made_ms)
            found = {name: getattr(orders[order_id].facts, name) for name in wanted}
            for name, value in found.items():
                if name in story.seen:  # its time is that of the look
                    assert 0 <= value - wanted[name] <= POLL_MS
                    wanted[name] = value
            assert (story.name, found) == (story.name, wanted)
            assert orders[order_id].facts.contradictions == ()
            assert (story.name, orders[order_id].faults) == (story.name, story.faults)

    async def test_bad_luck_changes_nothing(self, bench: ShopBench) -> None:
        """Lost, doubled and late pushes, pages that come twice, marks that are lost: the same facts."""
        careful, unlucky = Reader(bench), Unlucky(bench, seed=4711)
        await told(bench, careful, unlucky)
        assert len(unlucky.events) > len(careful.events)
        clean, found = careful.orders(), unlucky.orders()
        assert {name: order.facts for name, order in found.items()} == {
            name: order.facts for name, order in clean.items()
        }
        at_ms = START_MS + DAY_MS
        assert unlucky.engine.state_hash(at_ms) == careful.engine.state_hash(at_ms)

    async def test_same_mark_gives_the_same_page(self, bench: ShopBench) -> None:
        """Reading changes nothing: the same events under the same ids, and the same next mark."""
        street, reader = Street(bench), Reader(bench)
        street.pass_time(START_MS, START_MS + 5 * MINUTE_MS)
        now_ms = START_MS + 5 * MINUTE_MS
        mark = (await reader.pull.poll("", now_ms)).mark
        pages = [await reader.pull.poll(mark, now_ms) for _time in range(2)]
        assert pages[0] == pages[1]
        assert pages[0].events
        await reader.pull.close()

    async def test_quiet_shop_is_told_nothing_again(self, bench: ShopBench) -> None:
        """No event and no new mark, so that nothing is written while nothing happens."""
        street, reader = Street(bench), Reader(bench)
        street.pass_time(START_MS, START_MS + STORIES_MS)
        await reader.poll(START_MS + STORIES_MS)
        mark = reader.mark
        # An order that nobody knows enough of may be asked for, but never told again.
        assert await reader.poll(START_MS + STORIES_MS + POLL_MS) == []
        assert reader.mark == mark
        await reader.pull.close()

    @pytest.mark.parametrize("looks_h", [(), (50,)])
    async def test_payment_long_after_the_order_is_seen(
        self, bench: ShopBench, looks_h: tuple[int, ...]
    ) -> None:
        """However long nobody looked; and as late as the relay passes it on if somebody did."""
        reader, (create, *pay) = Reader(bench), bench.owed
        bench.step(create, 1, START_MS, START_MS)
        await reader.poll(START_MS + POLL_MS)
        for hours in looks_h:
            await reader.poll(START_MS + hours * HOUR_MS)
        late_ms = START_MS + (73 * HOUR_MS if looks_h else 20 * DAY_MS)
        for word in pay:
            bench.step(word, 1, START_MS, late_ms)
        found = await reader.poll(late_ms + POLL_MS)
        assert "order.paid" in {event.type for event in found}
        await reader.pull.close()

    async def test_first_look_tells_the_last_day_and_what_is_owed(self, bench: ShopBench) -> None:
        """Not the years before: an order of last month that is done is nobody's business now."""
        long_ago, last_week = START_MS - 30 * DAY_MS, START_MS - 3 * DAY_MS
        bench.create(1, long_ago)
        bench.create(2, last_week)
        for number, made_ms in ((3, last_week), (4, START_MS - DAY_MS // 2), (5, START_MS)):
            bench.owe(number, made_ms)
        reader = Reader(bench)
        await reader.poll(START_MS + MINUTE_MS)
        made = {3: last_week, 4: START_MS - DAY_MS // 2, 5: START_MS}
        assert reader.orders().keys() == {bench.order_id(*one) for one in made.items()}
        assert all(order.facts.paid_ms is not None for order in reader.orders().values())
        await reader.pull.close()

    async def test_nothing_of_buyer_or_goods_leaves(self, bench: ShopBench) -> None:
        """What was sold and who bought it are in no event and in no mark, but by their digests."""
        reader = Reader(bench)
        await told(bench, reader)
        said = msgspec.json.encode(reader.events).decode() + reader.mark
        assert SECRET not in said
        assert BUYER not in said
        assert any(event.customer_hash for event in reader.events)


class MySqlShopContract(ShopContract):
    """What is promised besides where many write at once: shops on MySQL and MariaDB."""

    async def test_row_that_appears_late_is_told(self, bench: ShopBench) -> None:
        """Its transaction was longer than that of a later one: its id lies before the mark."""
        reader = Reader(bench)
        slow = pymysql.connect(**bench.database.place, autocommit=False)
        bench.create(1, START_MS)
        await reader.poll(START_MS)
        bench.create(2, START_MS, slow)
        bench.create(3, START_MS)
        await reader.poll(START_MS + POLL_MS)
        first, late, third = (bench.order_id(number, START_MS) for number in (1, 2, 3))
        assert reader.orders().keys() == {first, third}
        slow.commit()
        slow.close()
        await reader.poll(START_MS + 9 * MINUTE_MS)
        assert reader.orders().keys() == {first, late, third}
        await reader.pull.close()

    async def test_shop_is_never_waited_for_or_held_up(self, bench: ShopBench) -> None:
        """Read while every row is locked; then the table is locked and changed beside an open reader."""
        reader = Reader(bench)
        bench.create(1, START_MS)
        shop = bench.database.shop
        shop.begin()
        bench.database.write(f"SELECT * FROM {bench.table} FOR UPDATE")
        assert await reader.poll(START_MS)
        shop.commit()
        bench.database.write("SET SESSION lock_wait_timeout = 1")
        bench.database.write(f"LOCK TABLES {bench.table} WRITE")
        bench.database.write("UNLOCK TABLES")
        bench.database.write(f"ALTER TABLE {bench.table} ADD COLUMN of_a_plugin int")
        assert await reader.poll(START_MS + POLL_MS) == []
        await reader.pull.close()

    async def test_reader_only_reads(self, bench: ShopBench) -> None:
        """Seen from the server: its user's statements are questions, and few of them."""
        street, reader = Street(bench), Reader(bench)
        street.pass_time(START_MS, START_MS + STORIES_MS)
        await reader.poll(START_MS + STORIES_MS)
        before = statements(bench)
        await reader.poll(START_MS + STORIES_MS + POLL_MS)
        asked = statements(bench)[len(before) :]
        await reader.pull.close()
        assert 1 <= len(asked) <= QUESTIONS_MAX
        assert all(one.lstrip().startswith("SELECT") for one in asked)
        assert all(
            one.lstrip().startswith(("SELECT", "SET SESSION", "SET NAMES", "SET AUTOCOMMIT"))
            for one in before
        )
