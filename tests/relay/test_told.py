"""What the monitor hears of callbacks, and what it tells people: events, faults, notes, readiness."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from monitor.app import Monitor
from monitor.core.orders.order import Order
from tests.relay.shop import answer, open_shop
from tests.relay.world import get, raw, running, said, settings_of, yipay


async def order_with(monitor: Monitor, order_id: str, *reasons: str | None) -> Order:
    """The order, once its timeline has events with these outcomes or reasons."""
    async with asyncio.timeout(20):
        while True:
            order = await monitor.find_order(order_id)
            found = [event.outcome or event.reason for event in order.timeline] if order else []
            if order is not None and set(reasons) <= {*found}:
                return order
            await asyncio.sleep(0.02)


async def test_accepted_callback_is_an_event_of_the_order(tmp_path: Path) -> None:
    """Paid, ok, with amount and provider; the number of the payment only as a keyed digest."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        await raw(monitor.url, get(yipay("A1", trade="2026-secret-number")))
        order = await order_with(monitor, "A1", "ok")
    (event,) = order.timeline
    assert (event.type, event.source, event.provider) == ("payment.callback", "main", "epay")
    assert (event.meaning, event.amount_minor, event.currency) == ("paid", 990, "CNY")
    assert event.payment is not None
    assert "secret-number" not in repr(event)


async def test_taking_over_is_told_while_the_shop_is_down(tmp_path: Path) -> None:
    """The payment is known and so is who owes it; once the shop has it that is told too."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        await shop.close()
        await raw(monitor.url, get(yipay("A1")))
        order = await order_with(monitor, "A1", "taken_over")
        assert order.facts.paid_ms is not None
        async with aiohttp.ClientSession() as client:
            ready = await client.get(f"{monitor.url}/readyz?verbose")
            assert "relay: 1 callbacks are owed to shop main" in await ready.text()
        await shop.open()
        order = await order_with(monitor, "A1", "taken_over", "ok")
    assert len(order.timeline) == 2


async def test_shop_without_the_order_is_a_case_for_a_person(tmp_path: Path) -> None:
    """The gateway hears its yes, the shop is asked again later, and somebody is told now."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.says = lambda _: answer("订单不存在".encode(), 404)
        assert said(await raw(monitor.url, get(yipay("A1")))) == (200, b"success")
        order = await order_with(monitor, "A1", "rejected", "taken_over")
        async with asyncio.timeout(20):
            while not order.faults:
                await asyncio.sleep(0.02)
    assert order.faults == ("payment_without_order",)


async def test_forged_callback_is_passed_on_and_told_to_nobody(tmp_path: Path) -> None:
    """A wrong signature is the shop's to refuse: no yes in its place, no event, no duty."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.says = lambda _: answer(b"fail")
        forged = get(yipay("A1", key="not the key"))
        assert said(await raw(monitor.url, forged)) == (200, b"fail")
        await raw(monitor.url, get(yipay("A2")))
        await order_with(monitor, "A2", "rejected")
        assert await monitor.find_order("A1") is None
        assert monitor.relay.notes() == ["relay: 1 callbacks are owed to shop main"]


async def test_waiting_callback_is_no_payment(tmp_path: Path) -> None:
    """The order is known to wait, and its promise has not begun."""
    async with open_shop() as shop:
        settings = settings_of(shop.port, kind="bepusdt", keys=type(settings_of(0).keys)())
        async with running(tmp_path, settings) as monitor:
            query = "order_id=A1&trade_id=T1&status=1&amount=1"
            await raw(monitor.url, get(query))
            order = await order_with(monitor, "A1", "ok")
    assert [event.meaning for event in order.timeline] == ["waiting"]
    assert order.facts.paid_ms is None


async def test_page_with_the_right_word_in_it_is_no_acceptance(tmp_path: Path) -> None:
    """A PHP warning before the word: the gateway is content, the shop is asked again."""
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        warning = b"<br />\n<b>Warning</b>: something in /pay.php on line 7<br />\nsuccess"
        shop.says = lambda _: answer(warning)
        assert said(await raw(monitor.url, get(yipay("A1")))) == (200, b"success")
        shop.says = lambda _: answer(b"success")
        await order_with(monitor, "A1", "taken_over", "ok")
    assert len(shop.seen) == 2


async def test_packed_answer_is_understood_and_passed_as_it_is(tmp_path: Path) -> None:
    """Some servers pack even one word; the gateway asked for it, so it gets it packed."""
    import gzip

    packed = gzip.compress(b"success")
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        shop.says = lambda _: answer(packed, headers=b"Content-Encoding: gzip\r\n")
        reply = await raw(monitor.url, get(yipay("A1")))
        assert said(reply) == (200, packed)
        await order_with(monitor, "A1", "ok")


async def test_duty_outlives_the_process(tmp_path: Path) -> None:
    """What was owed is sent by the next process, once, and the gateway is not needed for it."""
    async with open_shop() as shop:
        async with running(tmp_path, settings_of(shop.port)) as monitor:
            await shop.close()
            await raw(monitor.url, get(yipay("A1")))
        await shop.open()
        async with running(tmp_path, settings_of(shop.port)) as monitor:
            await shop.wait_for(1)
            await order_with(monitor, "A1", "taken_over", "ok")
    assert len(shop.seen) == 1


async def test_callback_that_cannot_be_kept_is_passed_on(tmp_path: Path) -> None:
    """A broken file costs the duty, not the payment; it is said loudly."""
    (tmp_path / "relay.db").write_bytes(b"this is no database" * 100)
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        assert said(await raw(monitor.url, get(yipay("A1")))) == (200, b"success")
        assert len(shop.seen) == 1
        assert "passed on without being kept" in "".join(monitor.relay.notes())


async def test_other_body_under_one_key_is_a_conflict_and_is_sent_too(tmp_path: Path) -> None:
    """Whoever was first may have been a forger: the shop decides by its own check."""
    settings = settings_of(0, keys=type(settings_of(0).keys)())
    async with open_shop() as shop:
        import msgspec

        settings = msgspec.structs.replace(settings, forward=f"http://127.0.0.1:{shop.port}/x")
        shop.says = lambda seen: answer(b"fail" if "9.90" in seen.target else b"success")
        async with running(tmp_path, settings) as monitor:
            await raw(monitor.url, get(yipay("A1")))
            await raw(monitor.url, get(yipay("A1").replace("9.90", "9.91")))
            await order_with(monitor, "A1", "taken_over", "ok")
            await monitor.relay._store.counts()
            counts = await monitor.relay._store.counts()
    assert (counts.conflicts, counts.owed) == (1, 0)


async def test_what_the_relay_has_sent_is_refused_when_it_comes_back(tmp_path: Path) -> None:
    """A `forward` that leads back here by mistake is no endless loop."""
    async with running(tmp_path, settings_of(1)) as monitor:
        request = get(yipay("A1")).replace(b"\r\n\r\n", b"\r\nX-Delivery-Monitor-Relay: 1\r\n\r\n")
        status, body = said(await raw(monitor.url, request))
    assert status == 400
    assert b"loop" in body


async def test_relay_that_is_not_configured_is_not_found(tmp_path: Path) -> None:
    """Nothing is stored for it."""
    async with running(tmp_path, settings_of(1)) as monitor:
        status, _ = said(await raw(monitor.url, get("a=1", path="/relay/main/other")))
    assert status == 404
