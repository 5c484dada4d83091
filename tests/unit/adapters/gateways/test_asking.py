"""Each kind of gateway is asked in its own way, over real sockets and in real databases."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from monitor.adapters.gateways.asking import Asker, asker_of
from monitor.adapters.gateways.base import unix_ms
from monitor.adapters.gateways.listening import VpayListener
from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.database import Database
from monitor.model.endpoints import GatewayAccess
from monitor.model.errors import SourceError
from monitor.model.gateways import GatewayKeys, Inquiry, Meaning, Reported
from monitor.model.secret import Secret
from tests.gateways import KEY, MERCHANT, PASSWORD, USER, GatewayHost, Payment, gateway_host
from tests.unit.app_world import StillClock


def access(host: GatewayHost, kind: str, key: str = KEY, password: str = PASSWORD) -> GatewayAccess:
    return GatewayAccess(
        "gate", kind, GatewayKeys((Secret(key), Secret("old"))), host.url, MERCHANT, USER,
        Secret(password),
    )  # fmt: skip


@asynccontextmanager
async def asking(kind: str, **changed: str) -> AsyncIterator[tuple[GatewayHost, Asker]]:
    async with gateway_host() as host:
        client = HttpClient(config_hosts=[host.place])
        asker = asker_of(access(host, kind, **changed), client, Database)
        try:
            yield host, asker
        finally:
            await asker.close()
            await client.close()


async def test_yipay_is_asked_by_the_shops_number() -> None:
    """Paid with number, money and Beijing's time; unpaid, refunded and unknown are told apart."""
    async with asking("yipay") as (host, asker):
        host.add(Payment("A1", "T1", 1, "88.80", "2026-11-20 10:00:08"), Payment("A2", "T2", 0))
        host.add(Payment("A 3&x", "T3", 2))
        found = await asker.ask([Inquiry(one) for one in ("A1", "A2", "A 3&x", "A4")])
    assert found == (
        Reported("A1", Meaning.PAID, "T1", 8880, 1_795_140_008_000),
        Reported("A2", Meaning.WAITING, "T2", 8880),
        Reported("A 3&x", Meaning.REFUNDED, "T3", 8880),
        Reported("A4", Meaning.UNKNOWN),
    )


@pytest.mark.parametrize("kind", ["epusdt", "bepusdt"])
async def test_epusdt_is_asked_by_its_own_number_where_it_is_known(kind: str) -> None:
    """An order of which nobody told the number cannot be asked about, and is left out."""
    async with asking(kind) as (host, asker):
        host.add(Payment("A1", "T1", 2), Payment("A2", "T2", 1), Payment("A3", "T3", 3))
        asked = [Inquiry(f"A{one}", f"T{one}", is_signed=True) for one in (1, 2, 3)]
        asked.append(Inquiry("A5"))
        found = {one.order_id: one.meaning for one in await asker.ask(asked)}
    assert found == {"A1": Meaning.PAID, "A2": Meaning.WAITING, "A3": Meaning.EXPIRED}


async def test_number_that_epusdt_does_not_know_is_an_answer() -> None:
    """Who forges a callback makes up its number; of BEpusdt the same answer may mean another browser."""
    async with asking("epusdt") as (_host, asker):
        assert await asker.ask([Inquiry("A1", "made/up")]) == (
            Reported("A1", Meaning.UNKNOWN, "made/up"),
        )
    async with asking("bepusdt") as (_host, asker):
        assert await asker.ask([Inquiry("A1", "made up")]) == ()


async def test_number_of_another_order_is_no_payment_of_this() -> None:
    """A paid number of one order in the callback of another is a denial."""
    async with asking("bepusdt") as (host, asker):
        host.add(Payment("A1", "T1", 2))
        (found,) = await asker.ask([Inquiry("A2", "T1")])
    assert found.meaning == Meaning.UNKNOWN


async def test_older_bepusdt_is_asked_as_epusdt() -> None:
    """Before it had a question of its own it answered that of epusdt."""
    async with asking("bepusdt") as (host, asker):
        host.has_info = False
        host.add(Payment("A1", "T1", 2))
        (found,) = await asker.ask([Inquiry("A1", "T1", is_signed=True)])
    assert found == Reported("A1", Meaning.PAID, "T1")


@pytest.mark.parametrize("kind", ["epusdt", "bepusdt"])
async def test_answer_that_names_no_order_says_nothing_of_a_number_nobody_signed(kind: str) -> None:
    """A stranger tells the paid number of a cheap order for a dear one: that confirms nothing."""
    async with asking(kind) as (host, asker):
        host.has_info = False
        host.add(Payment("cheap", "T1", 2))
        assert await asker.ask([Inquiry("dear", "T1")]) == ()


async def test_vpay_shows_paid_orders_to_its_owner_also_those_whose_callback_failed() -> None:
    """One session, two lists; what stands in neither is not said to be unpaid."""
    async with asking("vpay") as (host, asker):
        host.add(Payment("A1", "V1", 2, "88.8", "1795140008"), Payment("A2", "V2", 1))
        host.add(Payment("A3", "V3", 0), Payment("无订单转账", "", 1, "88.81"))
        asked = [Inquiry(one) for one in ("A1", "A2", "A3")]
        found = await asker.ask(asked)
        assert await asker.ask(asked) == found
        assert host.sign_ins == 1
        host.sign_ins += 1  # somebody else signed in, ours is over
        assert await asker.ask(asked) == found
    assert found == (
        Reported("A1", Meaning.PAID, "A1", 8880, 1_795_140_008_000),
        Reported("A2", Meaning.PAID, "A2", 8880),
        Reported("transfer-1", Meaning.PAID, "", 8881, 1_795_140_007_000, is_stray=True),
    )


@pytest.mark.parametrize(
    ("kind", "changed"), [("yipay", {"key": "wrong"}), ("vpay", {"password": "wrong"})]
)
async def test_refused_question_says_what_to_check_and_no_secret(
    kind: str, changed: dict[str, str]
) -> None:
    """The error names neither key nor password, and its hint the file that holds it."""
    async with asking(kind, **changed) as (_host, asker):
        with pytest.raises(SourceError) as caught:
            await asker.ask([Inquiry("A1")])
    assert "_file" in caught.value.hint
    assert "wrong" not in str(caught.value)


async def test_gateway_that_is_down_is_an_error_without_its_key() -> None:
    """A page of the proxy, and no answer at all."""
    async with asking("yipay") as (host, asker):
        host.status = 502
        with pytest.raises(SourceError, match="502"):
            await asker.ask([Inquiry("A1")])
    client = HttpClient(config_hosts=[host.place])
    with pytest.raises(SourceError) as caught:
        await asker_of(access(host, "yipay"), client, Database).ask([Inquiry("A1")])
    await client.close()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("age_s", "is_online", "is_alive"), [(5, True, True), (90, True, False), (5, False, False)]
)
async def test_phone_lives_while_its_heart_beats(
    age_s: int, *, is_online: bool, is_alive: bool
) -> None:
    """V免签 goes on saying online until the phone speaks again, so its heart is looked at too."""
    async with gateway_host() as host:
        client = HttpClient(config_hosts=[host.place])
        host.heart_s, host.is_online = int(time.time()) - age_s, is_online
        clock = StillClock()  # ours is years off; the gateway's own clock counts
        watched = VpayListener(access(host, "vpay"), client, clock)
        assert await watched.is_alive() is is_alive
        with pytest.raises(SourceError, match="does not tell"):
            await VpayListener(access(host, "vpay", key="wrong"), client, clock).is_alive()
        await client.close()


@pytest.mark.parametrize(
    "written", ["²²²²²²²²²²", "١٧٩٥١٤٠٠٠٨", "-795140008", "179514000", "None", ""]
)
def test_time_that_is_none_is_not_told(written: str) -> None:
    """What Python takes for digits is not always a number."""
    assert unix_ms(written) is None
    assert unix_ms("1795140008") == 1_795_140_008_000


async def test_vpay_that_writes_odd_digits_is_read_as_far_as_it_makes_sense() -> None:
    """A paid order stays paid without its time; a heart that beat at no time does not live."""
    async with asking("vpay") as (host, asker):
        host.add(Payment("A1", "V1", 1, "88.8", "²²²²²²²²²²"))
        host.heart, host.is_online = "²", True
        assert await asker.ask([Inquiry("A1")]) == (Reported("A1", Meaning.PAID, "A1", 8880),)
        client = HttpClient(config_hosts=[host.place])
        assert not await VpayListener(access(host, "vpay"), client, StillClock()).is_alive()
        await client.close()
