"""A shop is asked on time, its mark never runs ahead of what is on the disk, and an outage is told."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import pairwise

import pytest

from monitor.model.errors import CapacityError, SourceError, StorageError
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Polled
from monitor.runtime.polling import PAGES_MAX, SUBMIT_MAX, Poller
from monitor.sim.virtual_loop import VirtualClock, run_virtual

EVERY_MS = 15_000
CARD = "CARD-4711"
HEARTBEAT = EventType.HEARTBEAT.value


def events(count: int) -> tuple[OrderEvent, ...]:
    """So many facts."""
    return tuple(
        OrderEvent(EventType.PAID.value, f"o{number}", "main", "order.paid", 1, 1)
        for number in range(count)
    )


class Shop:
    """Answers with the pages it was given, then with empty ones."""

    def __init__(self, *pages: Polled | Exception) -> None:
        self.pages = list(pages)
        self.asked: list[tuple[str, int]] = []

    async def poll(self, mark: str, now_ms: int) -> Polled:
        self.asked.append((mark, now_ms))
        page = self.pages.pop(0) if self.pages else Polled((), mark, is_last=True)
        if isinstance(page, Exception):
            raise page
        return page

    async def close(self) -> None:
        self.asked.append(("closed", 0))


class Mark:
    """Remembers, and in which order that was."""

    def __init__(self, log: list[str]) -> None:
        self.mark, self._log = "", log

    async def read(self) -> str:
        return self.mark

    async def write(self, mark: str) -> None:
        self.mark = mark
        self._log.append(f"mark {mark}")


class Loop:
    """Takes what is submitted, unless it is told to refuse."""

    def __init__(self, log: list[str]) -> None:
        self.taken: list[OrderEvent] = []
        self.refusal: CapacityError | StorageError | None = None
        self._log = log

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        if self.refusal is not None:
            raise self.refusal
        self.taken += entries
        self._log.append("heartbeat" if entries[0].type == HEARTBEAT else f"events {len(entries)}")
        return ("accepted",) * len(entries)


class World:
    """One poller and everything around it."""

    def __init__(self, shop: Shop) -> None:
        self.log: list[str] = []
        self.shop, self.mark, self.loop = shop, Mark(self.log), Loop(self.log)
        self.poller = Poller(
            "main", shop, self.mark, self.loop, VirtualClock(), every_ms=EVERY_MS
        )  # fmt: skip

    def run(self, span_s: float) -> None:
        """Let it run for a while of virtual time."""

        async def watch() -> None:
            task = asyncio.get_running_loop().create_task(self.poller.run())
            await asyncio.sleep(span_s)
            task.cancel()

        run_virtual(watch())


def test_events_are_on_the_disk_before_the_mark_moves() -> None:
    """Page by page, in groups a request may have, then the heartbeat; nothing else when nothing is new."""
    many = SUBMIT_MAX + 1
    world = World(
        Shop(Polled(events(many), "a", is_last=False), Polled(events(2), "b", is_last=True))
    )
    world.run(1)
    assert world.log == [
        f"events {SUBMIT_MAX}",
        "events 1",
        "mark a",
        "events 2",
        "mark b",
        "heartbeat",
    ]
    assert [mark for mark, _at_ms in world.shop.asked] == ["", "a"]
    heartbeat = world.loop.taken[-1]
    assert (heartbeat.order_id, heartbeat.source, heartbeat.is_unique) == ("", "main", True)


def test_shop_is_asked_at_fixed_points_in_time() -> None:
    """The first time at once, then every 15 s, whenever the first time was."""
    world = World(Shop())
    world.run(60)
    times = [at_ms for _mark, at_ms in world.shop.asked]
    assert [later - at_ms for at_ms, later in pairwise(times[1:])] == [EVERY_MS] * (len(times) - 2)
    assert len(times) in (5, 6)


@pytest.mark.parametrize("refusal", [StorageError("disk"), CapacityError("full")])
def test_mark_stays_while_the_loop_refuses(refusal: StorageError | CapacityError) -> None:
    """The same page is asked for again, and nothing of it is lost."""
    world = World(Shop(Polled(events(1), "a", is_last=True)))
    world.loop.refusal = refusal
    world.run(1)
    assert (world.log, world.mark.mark, world.poller.trouble) == ([], "", None)


def test_outage_is_told_once_and_asked_about_less_and_less(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After 15, 30, 60 … s, five minutes at most; no heartbeat says that all is well meanwhile."""
    caplog.set_level(logging.INFO, "monitor.polling")
    outage = [SourceError("shop cannot be reached") for _time in range(8)]
    world = World(Shop(*outage))
    world.run(1_000)
    times = [at_ms for _mark, at_ms in world.shop.asked]
    assert [round((b - a) / 1_000) for a, b in pairwise(times)] == [
        15, 30, 60, 120, 240, 300,
    ]  # fmt: skip
    assert world.poller.trouble == "shop cannot be reached"
    assert (world.log, caplog.messages) == ([], ["source_unreadable"])


def test_end_of_an_outage_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    """With the next answer nothing is left of it."""
    caplog.set_level(logging.INFO, "monitor.polling")
    world = World(Shop(SourceError("down"), SourceError("refused"), Polled((), "", is_last=True)))
    world.run(60)
    assert caplog.messages == ["source_unreadable", "source_unreadable", "source_readable"]
    assert world.poller.trouble is None
    assert world.log[0] == "heartbeat"


def test_long_backlog_is_read_with_pauses_and_without_heartbeat() -> None:
    """While the end is not reached nobody knows whether an order was delivered."""
    world = World(Shop(*(Polled((), str(page), is_last=False) for page in range(PAGES_MAX + 1))))
    world.run(1)
    assert (len(world.shop.asked), "heartbeat" in world.log) == (PAGES_MAX, False)
    world = World(Shop(*(Polled((), str(page), is_last=False) for page in range(PAGES_MAX + 1))))
    world.run(16)
    assert world.log[-1] == "heartbeat"


async def test_connection_is_given_back() -> None:
    """The shop hears of the end."""
    world = World(Shop())
    await world.poller.close()
    assert world.shop.asked == [("closed", 0)]


@pytest.mark.parametrize(
    "fault",
    [UnicodeDecodeError("utf-8", b"CARD", 0, 1, "x"), TypeError(CARD), KeyError(CARD),
     ArithmeticError(CARD), AttributeError(CARD)],
)  # fmt: skip
def test_answer_nobody_understands_is_an_outage_and_no_end(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The source is in trouble and asked later; the task lives, and nothing of the row is told."""
    caplog.set_level(logging.INFO, "monitor.polling")
    world = World(Shop(fault, Polled(events(1), "a", is_last=True)))
    world.run(2 * EVERY_MS / 1_000)
    assert "events 1" in world.log
    assert caplog.messages == ["source_unreadable", "source_readable"]
    (told, _) = (str(vars(record)["fields"]) for record in caplog.records)
    assert type(fault).__name__ in told
    assert CARD not in told


def test_limit_that_a_shop_reaches_is_said_for_as_long_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whichever page says it; in the log once."""
    caplog.set_level(logging.INFO, "monitor.polling")
    full = [
        Polled((), "a", is_last=False, limit="5,001 are open"),
        Polled((), "b", is_last=True),
    ]
    world = World(Shop(*full, *full))
    limits: list[str] = []

    async def rounds() -> None:
        for _ in range(3):
            await world.poller.round()
            limits.append(world.poller.limit)

    run_virtual(rounds())
    assert limits == ["5,001 are open", "5,001 are open", ""]
    assert caplog.messages == ["source_limit_reached"]
