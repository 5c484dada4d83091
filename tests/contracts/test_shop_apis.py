"""One suite over every API of a shop: nothing is missed, whatever happens between two pages."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.shops.reconcile import APIS
from monitor.adapters.shops.sweep import LOOK_BACK_MS, OVERLAP_MS, Sweep
from monitor.core.orders import facts as core_facts
from monitor.model.endpoints import ApiAccess, ShopSource
from monitor.model.errors import SourceError
from monitor.model.events import OrderEvent
from monitor.model.secret import Secret
from monitor.model.settings import PromiseTable
from monitor.ports import ShopPull
from tests.shop_apis import (
    KEY,
    SECRET,
    SECRET_KEY,
    START_S,
    FakeApi,
    FakeShopify,
    FakeStripe,
    FakeWooCommerce,
    page_for_people,
    served,
)

NOW = (START_S + 3_600) * 1_000
FAKES: dict[str, type[FakeApi]] = {
    "shopify": FakeShopify, "stripe": FakeStripe, "woocommerce": FakeWooCommerce,
}  # fmt: skip
STEPS = ("created", "paid", "delivered")


@dataclass
class Bench:
    """An API, its adapter, and the mark as the source keeps it."""

    api: FakeApi
    pull: ShopPull
    mark: str = ""
    webhooks: list[tuple[str, ...]] = field(default_factory=list)

    async def page(self, now_ms: int = NOW) -> tuple[tuple[OrderEvent, ...], bool]:
        """Ask for one page."""
        polled = await self.pull.poll(self.mark, now_ms)
        self.mark = polled.mark
        return polled.events, polled.is_last

    async def sweep(self, now_ms: int = NOW) -> list[OrderEvent]:
        """Ask until there is no more for now."""
        found: list[OrderEvent] = []
        for _ in range(100):
            events, is_last = await self.page(now_ms)
            found += events
            if is_last:
                return found
        raise AssertionError("a sweep must end")


@pytest.fixture(params=sorted(FAKES))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Every kind in turn."""
    api = FAKES[request.param]()
    async with served(api) as place:
        client = HttpClient(config_hosts=[place])
        access = ApiAccess(api.base, Secret(KEY), Secret(SECRET_KEY))
        seen: list[tuple[str, ...]] = []
        source = ShopSource("main", request.param, api=access)
        naming = Naming(lambda text: f"c:{len(text)}", lambda text: f"g:{len(text)}")
        facts = Facts("main", naming, timezone=None, currency="EUR")
        pull = APIS[request.param](source, facts, client, lambda _, off: seen.append(off))
        try:
            yield Bench(api, pull, webhooks=seen)
        finally:
            await pull.close()
            await client.close()


def told(events: list[OrderEvent]) -> set[tuple[str, str]]:
    """Which facts of which orders."""
    return {(event.order_id, event.type) for event in events}


def final(events: list[OrderEvent]) -> dict[str, core_facts.Facts]:
    """What the core makes of events in the order in which they came."""
    lines: dict[str, tuple[OrderEvent, ...]] = {}
    for event in events:
        known = lines.get(event.order_id, ())
        lines[event.order_id] = core_facts.insert(known, event) or known
    return {name: core_facts.derive(line, PromiseTable()) for name, line in sorted(lines.items())}


async def test_sweep_reads_every_page_and_the_next_one_only_the_overlap(bench: Bench) -> None:
    """600 orders over an hour come in pages; afterwards ten minutes are read again, under the same ids."""
    for number in range(600):
        bench.api.put(number, START_S + number * 6, "paid")
    first = await bench.sweep()
    assert {event.order_id for event in first} == {str(number) for number in range(600)}
    assert len(bench.api.asked) >= 3
    again = await bench.sweep()
    reread = {int(event.order_id) for event in again}
    assert reread == set(range(min(reread), 600))
    assert min(reread) in (499, 500)  # WooCommerce's limit is "later than"
    assert {event.event_id for event in again} <= {event.event_id for event in first}


async def test_orders_that_change_between_two_pages_are_not_skipped(bench: Bench) -> None:
    """An order that moves to the end of the list moves all others up: a page number would skip one."""
    for number in range(400):
        bench.api.put(number, START_S + number, "paid")
    found, is_last = await bench.page()
    assert not is_last
    for number in range(40):
        bench.api.put(number, START_S + 1_000 + number, "delivered")
    rest = [*found, *await bench.sweep(), *await bench.sweep()]
    paid = {name for name, kind in told(rest) if kind == "order.paid"}
    assert paid == {str(number) for number in range(400)}


async def test_more_orders_in_one_second_than_fit_a_page(bench: Bench) -> None:
    """A bulk edit gives 700 orders one time of change; the sweep goes through them and ends."""
    for number in range(700):
        bench.api.put(number, START_S, "paid")
    assert len(told(await bench.sweep())) >= 700


async def test_restart_in_the_middle_goes_on_with_the_mark(bench: Bench) -> None:
    """The mark is all that is kept: what was read before it is not needed again."""
    for number in range(600):
        bench.api.put(number, START_S + number, "paid")
    first, is_last = await bench.page()
    assert not is_last
    rest = await bench.sweep()
    assert {one.order_id for one in (*first, *rest)} == {str(number) for number in range(600)}
    assert "0" not in {one.order_id for one in rest} or first[0].order_id != "0"


async def test_empty_mark_and_a_strange_one_begin_three_days_ago(bench: Bench) -> None:
    """What is older than that is history; a mark of another adapter is as good as none."""
    bench.api.put(1, NOW // 1_000 - LOOK_BACK_MS // 1_000 - OVERLAP_MS // 1_000 - 60, "paid")
    bench.api.put(2, NOW // 1_000 - LOOK_BACK_MS // 1_000, "paid")
    for mark in ("", "17", '{"horizon_ms": "soon"}'):
        bench.mark = mark
        assert {event.order_id for event in await bench.sweep()} == {"2"}


async def test_pushes_that_were_lost_are_made_up_for(bench: Bench) -> None:
    """30 % of pushes dropped, 30 % repeated, all shuffled: with the poll the facts are the clean run's."""
    dice = random.Random(6)
    pushed: list[OrderEvent] = []
    polled: list[OrderEvent] = []
    for at, step in enumerate(STEPS):
        for number in range(60):
            bench.api.put(number, START_S + at * 600 + number, step)
        polled += (seen := await bench.sweep())
        pushed += seen  # the same document, whoever brings it
    lost = [event for event in pushed if dice.random() > 0.3]
    lost += [event for event in lost if dice.random() < 0.3]
    dice.shuffle(lost)
    assert final([*lost, *polled]) == final([*pushed, *polled])
    assert len(final(polled)) == 60


async def test_patience_is_kept_when_it_is_asked_for(bench: Bench) -> None:
    """429 with `Retry-After`: not one request before its time, then the sweep goes on as if nothing was."""
    bench.api.put(1, START_S, "paid")
    bench.api.refusal = web.Response(status=429, headers={"Retry-After": "7"})
    for wait_ms in (0, 6_900):
        with pytest.raises(SourceError):
            await bench.page(NOW + wait_ms)
    assert len(bench.api.asked) == 1
    assert ("1", "order.paid") in told(await bench.sweep(NOW + 7_000))


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (lambda: web.Response(status=500, text=SECRET), "HTTP 500"),
        (lambda: web.Response(status=403, text=SECRET), "HTTP 403"),
        (lambda: web.Response(status=404, text=SECRET), "HTTP 404"),
        (page_for_people, "cannot be read"),
        (lambda: web.Response(body=b'{"orders": [{"id": "\xff'), "cannot be read"),
    ],
    ids=["500", "403", "404", "page", "cut"],
)
async def test_answer_that_is_none_is_an_error_of_the_source(
    bench: Bench, refusal: object, said: str
) -> None:
    """One line that names the source and what was wrong, with no key and nothing of the body in it."""
    assert callable(refusal)
    bench.api.refusal = refusal()
    with pytest.raises(SourceError, match=said) as caught:
        await bench.page()
    text = f"{caught.value!r} {caught.value.hint}"
    assert "main: " in text
    assert not any(secret in text for secret in (KEY, SECRET_KEY, SECRET))
    assert caught.value.__cause__ is None


async def test_wrong_key_says_what_to_check(bench: Bench) -> None:
    """401 is not mended by asking again: the hint names the settings."""
    bench.api.is_known = lambda request: False  # type: ignore[method-assign]  # the key was revoked
    with pytest.raises(SourceError) as caught:
        await bench.page()
    assert "api.key" in caught.value.hint


async def test_one_strange_entry_does_not_hide_the_others(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """An order whose number is a text, an event whose time is half a second: left out and logged; the one beside it is read."""
    bench.api.put(1, START_S, "paid")
    bench.api.put(2, START_S + 1, "paid")
    strange = next(iter(bench.api.entries.values()))
    strange |= {"created": START_S + 0.5} if "data" in strange else {"id": SECRET}
    with caplog.at_level(logging.WARNING):
        assert {event.order_id for event in await bench.sweep()} == {"2"}
    assert "entry_unreadable" in caplog.text
    assert SECRET not in caplog.text


async def test_planted_secrets_and_buyers_stay_at_the_door(bench: Bench) -> None:
    """Keys in meta data, notes and properties: in no event and in no mark; most are not even fetched."""
    for step in STEPS:
        bench.api.put(1, START_S, step)
    events = await bench.sweep()
    assert events
    for kept in (repr(events), bench.mark):
        assert not any(text in kept for text in (SECRET, "buyer@example.com", KEY))


async def test_address_inside_is_refused_unless_it_is_written_down(bench: Bench) -> None:
    """The rules for requests to the outside hold here too."""
    source = ShopSource("main", "woocommerce", api=ApiAccess(bench.api.base))
    naming = Naming(str, str)
    client = HttpClient()
    pull = APIS["woocommerce"](
        source, Facts("main", naming, timezone=None, currency=None), client, lambda *_: None
    )
    with pytest.raises(SourceError, match="non-public"):
        await pull.poll("", NOW)
    assert bench.api.asked == []
    await client.close()


async def test_place_that_is_gone_begins_the_sweep_again(bench: Bench) -> None:
    """Shopify forgets the name of a page, Stripe the event it went back from: nothing is missed."""
    for number in range(600):
        bench.api.put(number, START_S + number * 6, "paid")
    first, _ = await bench.page()
    if isinstance(bench.api, FakeShopify):
        bench.api.forget_pages()
    if isinstance(bench.api, FakeStripe):
        del bench.api.entries[f"evt_{first[0].order_id}_paid"]
    rest = await bench.sweep()
    assert len({event.order_id for event in (*first, *rest)}) == 600


def test_clock_of_a_shop_that_is_ahead_skips_nothing() -> None:
    """A change dated tomorrow must not make today's the past."""
    ahead = Sweep(NOW).after("", NOW + 86_400_000)
    assert Sweep.resume(ahead.mark, NOW).since_ms == NOW - OVERLAP_MS


async def test_webhook_that_was_switched_off_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """WooCommerce disables a webhook after failures: the state is told each time, the log line once."""
    api = FakeWooCommerce()
    told_states: list[tuple[str, ...]] = []
    async with served(api) as place:
        client = HttpClient(config_hosts=[place])
        facts = Facts("main", Naming(str, str), timezone=None, currency=None)
        access = ApiAccess(f"{api.base}/", Secret(KEY), Secret(SECRET_KEY))
        pull = APIS["woocommerce"](
            ShopSource("main", "woocommerce", api=access), facts, client,
            lambda _, off: told_states.append(off),
        )  # fmt: skip
        with caplog.at_level(logging.WARNING):
            await pull.poll("", NOW)
            api.webhooks[0]["status"] = "disabled"
            await pull.poll("", NOW)
            await pull.poll("", NOW)
        await client.close()
    assert told_states == [(), ("order.updated: disabled",), ("order.updated: disabled",)]
    assert caplog.messages.count("webhooks_are_off") == 1
