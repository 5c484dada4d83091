"""Lost callbacks are found by asking, forged ones are unmasked; over sockets, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from monitor.adapters.gateways import GATEWAYS
from monitor.adapters.gateways.asking import asker_of
from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.database import Database
from monitor.core.engine import Engine
from monitor.core.inquiries import AskedGateway, Inquiries
from monitor.model.commands import Batch
from monitor.model.endpoints import GatewayAccess
from monitor.model.errors import StorageError
from monitor.model.events import OrderEvent
from monitor.model.gateways import Callback, GatewayKeys, Inquiry, Meaning, Reported, Signature
from monitor.model.rules import RuleSet
from monitor.model.secret import Secret
from monitor.model.settings import Settings
from monitor.model.shops import RawRequest
from monitor.runtime.gateway_ear import FORGET_MS, PUSH_GAP_MS, GatewayEar
from monitor.runtime.gateway_query import STRAY_MS, TURN_S, Asked, GatewayQuery
from monitor.runtime.listeners import ListenerWatch
from tests.gateways import KEY, MERCHANT, GatewayHost, Payment, gateway_host
from tests.unit.app_world import T0, StillClock


class EngineLoop:
    """The engine behind the loop's entrance, without a disk."""

    def __init__(self, clock: StillClock) -> None:
        self.engine = Engine(Settings(), RuleSet())
        self.clock = clock
        self.taken: list[OrderEvent] = []
        self.is_refusing = False

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        if self.is_refusing:
            raise StorageError("the disk is full")
        self.taken += entries
        self.engine.handle(Batch(tuple(entries)), self.clock.now_ms())
        return ()


class World:
    """One gateway that is asked, every `TURN_S` of virtual time."""

    def __init__(self, host: GatewayHost, client: HttpClient, kind: str) -> None:
        self.host = host
        self.clock = StillClock(T0)
        self.loop = EngineLoop(self.clock)
        self.inquiries = Inquiries([AskedGateway("gate", ("alipay",), 1_800_000)])
        self.ear = GatewayEar(self.inquiries, self.clock)
        keys = GatewayKeys((Secret(KEY),))
        access = GatewayAccess("gate", kind, keys, host.url, MERCHANT)
        self.query = GatewayQuery(
            Asked("gate", asker_of(access, client, Database), "CNY"), self.inquiries,
            lambda: self.loop.engine.shard.orders, self.loop, self.clock, lambda text: f"n:{text}",
        )  # fmt: skip

    async def created(self, order_id: str) -> None:
        now_ms = self.clock.now_ms()
        await self.loop.submit(
            (OrderEvent("order.created", order_id, "shop", order_id, now_ms, now_ms),)
        )

    async def called(self, callback: Callback) -> None:
        """A callback comes to the relay, which tells the engine and the ear."""
        now_ms = self.clock.now_ms()
        event = OrderEvent(
            "payment.callback", callback.order_id, "relay", f"{callback.trade_no}:paid",
            now_ms, now_ms, meaning=callback.meaning.value,
        )  # fmt: skip
        await self.loop.submit((event,))
        self.ear.heard("gate", callback)

    async def turns(self, seconds: float) -> None:
        """Let virtual time pass."""
        for _ in range(int(seconds / TURN_S)):
            self.clock.at_ms += int(TURN_S * 1000)
            await self.query.turn()

    def paid_ms(self, order_id: str) -> int | None:
        return self.loop.engine.shard.orders[order_id].facts.paid_ms

    def faults(self, order_id: str) -> tuple[str, ...]:
        return self.loop.engine.shard.orders[order_id].faults


@asynccontextmanager
async def world(kind: str = "yipay") -> AsyncIterator[World]:
    async with gateway_host() as host:
        client = HttpClient(config_hosts=[host.place])
        try:
            yield World(host, client, kind)
        finally:
            await client.close()


async def test_callback_that_was_never_sent_is_found_within_90_s() -> None:
    """Whenever the gateway learns of the payment, also late, with two questions a minute at most."""
    async with world() as here:
        here.host.add(Payment("A1", "T1", 0))
        await here.created("A1")
        for minutes in (2, 12):
            await here.turns(60 * minutes - 20)
            assert here.paid_ms("A1") is None
        known_ms = here.clock.at_ms
        here.host.add(Payment("A1", "T1", 1))
        while here.paid_ms("A1") is None:
            await here.turns(TURN_S)
        assert here.clock.at_ms - known_ms <= 90_000
        questions = here.host.asked.count("A1")
        assert questions <= 2 * (here.clock.at_ms - T0) / 60_000
        await here.turns(300)
        assert here.host.asked.count("A1") == questions
    (found,) = [one for one in here.loop.taken if one.type == "payment.callback"]
    assert (found.meaning, found.reason, found.source) == ("paid", "found_by_query", "gateway:gate")
    assert (found.payment, found.amount_minor, found.is_inferred) == ("n:T1", 8880, True)


async def test_gateways_own_time_of_payment_is_taken() -> None:
    """The promise runs from when the buyer paid, not from when we asked; the future is not believed."""
    async with world() as here:
        # T0 is 2026-09-21T14:13:20Z; Beijing is eight hours ahead.
        here.host.add(Payment("A1", "T1", 1, paid_at="2026-09-21 22:13:25"))
        here.host.add(Payment("A2", "T2", 1, paid_at="2027-09-21 22:13:25"))
        await here.created("A1")
        await here.created("A2")
        await here.turns(20)
    assert here.paid_ms("A1") == T0 + 5_000
    assert here.paid_ms("A2") == here.clock.at_ms - 5_000


async def test_forged_success_is_a_case_after_the_gateway_denied_it_twice() -> None:
    """A signed callback for an order that the gateway calls unpaid: one fault, told once."""
    async with world() as here:
        here.host.add(Payment("A1", "T1", 0))
        await here.created("A1")
        forged = Callback("A1", "T1", Meaning.PAID)
        await here.called(forged)
        await here.turns(10)
        assert here.faults("A1") == ()
        await here.called(forged)
        await here.turns(60)
        assert here.faults("A1") == ("payment_denied",)
        questions = len(here.host.asked)
        await here.called(forged)
        await here.turns(10)
        assert len(here.host.asked) == questions
    (denied,) = [one for one in here.loop.taken if one.source == "gateway:gate"]
    assert (denied.meaning, denied.reason) == ("waiting", "payment_denied")


async def test_payment_after_a_forged_success_was_denied_is_found() -> None:
    """The engine believes the order paid; its real callback is lost, and asking finds it."""
    async with world() as here:
        here.host.add(Payment("A1", "T1", 0))
        await here.created("A1")
        await here.called(Callback("A1", "F1", Meaning.PAID))
        await here.turns(180)
        here.host.add(Payment("A1", "T1", 1))
        await here.turns(90)
        questions = len(here.host.asked)
        await here.turns(300)
        assert len(here.host.asked) == questions
    told = [one for one in here.loop.taken if one.source == "gateway:gate"]
    assert [(one.meaning, one.reason) for one in told] == [
        ("waiting", "payment_denied"), ("paid", "found_by_query"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["epusdt", "bepusdt"])
async def test_number_of_a_strangers_callback_pays_no_order(kind: str) -> None:
    """He owns a cheap paid order and tells its number for a dear one; only a signature binds them."""
    async with world(kind) as here:
        here.host.has_info = False
        here.host.add(Payment("cheap", "T1", 2))
        await here.created("dear")
        told = b'{"trade_id":"T1","order_id":"dear","amount":88.8,"status":1}'
        request = RawRequest("POST", "/relay/shop/gate", (), told, T0)
        here.ear.heard("gate", GATEWAYS[kind](GatewayKeys()).read(request))
        await here.turns(120)
        assert here.host.asked
        assert here.paid_ms("dear") is None


async def test_true_success_is_asked_about_once_and_no_second_event() -> None:
    """The gateway confirms what its callback said."""
    async with world() as here:
        here.host.add(Payment("A1", "T1", 1))
        await here.created("A1")
        await here.called(Callback("A1", "T1", Meaning.PAID, signature=Signature.VALID))
        await here.turns(120)
        assert here.host.asked == ["A1"]
    assert [one.source for one in here.loop.taken] == ["shop", "relay"]


async def test_success_that_nobody_signed_is_evidence_once_the_gateway_confirms_it() -> None:
    """The relay told it without a meaning; the gateway's own yes is the payment."""
    async with world() as here:
        here.host.add(Payment("A1", "T1", 1))
        here.ear.heard("gate", Callback("A1", "T1", Meaning.PAID))
        await here.turns(60)
        assert here.host.asked == ["A1"]
        assert here.paid_ms("A1") is not None
    (found,) = here.loop.taken
    assert (found.meaning, found.reason) == ("paid", "found_by_query")


async def test_payment_that_the_gateway_knows_a_moment_later_is_no_case() -> None:
    """Its answer may lag behind its own callback."""
    async with world() as here:
        here.host.add(Payment("A1", "T1", 0))
        await here.created("A1")
        await here.called(Callback("A1", "T1", Meaning.PAID))
        await here.turns(TURN_S)
        here.host.add(Payment("A1", "T1", 1))
        await here.turns(120)
    assert here.faults("A1") == ()


async def test_bepusdt_is_asked_by_the_number_of_its_waiting_push() -> None:
    """Its push for the payment was lost; an earlier one told its number."""
    async with world("bepusdt") as here:
        here.host.add(Payment("A1", "T1", 1))
        await here.created("A1")
        push = b'{"trade_id":"T1","order_id":"A1","amount":88.8,"status":1,"signature":"x"}'
        request = RawRequest("POST", "/relay/shop/gate", (), push, T0)
        here.ear.heard("gate", GATEWAYS["bepusdt"](GatewayKeys()).read(request))
        await here.turns(60)
        assert here.paid_ms("A1") is None
        here.host.add(Payment("A1", "T1", 2))
        await here.turns(90)
        assert here.paid_ms("A1") is not None
        assert set(here.host.asked) == {"T1"}


async def test_finding_waits_while_the_disk_refuses_it() -> None:
    """It is handed in again later, not forgotten; and a gateway that is down is asked again."""
    async with world() as here:
        here.host.add(Payment("A1", "T1", 1))
        await here.created("A1")
        here.loop.is_refusing = True
        await here.turns(60)
        assert here.paid_ms("A1") is None
        here.loop.is_refusing, here.host.status = False, 502
        await here.turns(60)
        here.host.status = 200
        await here.turns(60)
        assert here.paid_ms("A1") is not None


async def test_money_without_an_order_is_told_once_while_it_is_young() -> None:
    """V免签 kept it and called nobody; years of such money are not told at a first look."""
    young, old = (
        Reported(f"transfer-{number}", Meaning.PAID, "", 8881, T0 - age_ms, is_stray=True)
        for number, age_ms in ((1, 60_000), (2, STRAY_MS + 60_000))
    )

    class Cashier:
        orders_max = 200

        async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
            return (young, old)

    async with world() as here:
        here.query._asked = Asked("gate", Cashier(), "CNY")
        await here.created("A1")
        await here.turns(300)
    assert here.faults("gate-transfer-1") == ("payment_without_order",)
    assert here.paid_ms("gate-transfer-1") is None
    assert [one.order_id for one in here.loop.taken] == ["A1", "gate-transfer-1"]


async def test_listener_of_bepusdt_lives_while_it_pushes() -> None:
    """It is expected to call only about orders that wait, and not for ever."""
    clock = StillClock(T0)
    ear = GatewayEar(Inquiries(()), clock)
    assert ear.is_pushing("gate") is True
    ear.heard("gate", Callback("A1", "T1", Meaning.WAITING))
    clock.at_ms += PUSH_GAP_MS
    assert ear.is_pushing("gate") is True
    clock.at_ms += 1
    assert ear.is_pushing("gate") is False
    ear.heard("gate", Callback("A1", "T1", Meaning.EXPIRED))
    clock.at_ms += 2 * PUSH_GAP_MS
    assert ear.is_pushing("gate") is True
    ear.heard("gate", Callback("A2", "T2", Meaning.WAITING))
    clock.at_ms += FORGET_MS + 1
    assert ear.is_pushing("gate") is True


@pytest.mark.parametrize("error", [ValueError("²"), KeyError("id"), TypeError("None")])
async def test_answer_that_cannot_be_read_is_trouble_and_asked_again_later(
    error: Exception,
) -> None:
    """Neither the questions nor the watch end with it, and what it held is not told."""

    class Odd:
        orders_max = 200

        async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
            raise error

    async def asked() -> bool:
        raise error

    async with world() as here:
        here.query._asked = Asked("gate", Odd(), "CNY")
        await here.created("A1")
        await here.turns(30)
        assert await here.query.turn() is True  # nothing is due so soon
        here.clock.at_ms += 60_000
        assert await here.query.turn() is False
        assert here.query.trouble == f"the answer cannot be read: {type(error).__name__}"
        watch = ListenerWatch("gate", asked, here.loop, here.clock)
        assert [(await watch.look(), watch.pause_s) for _ in range(4)] == [
            (False, pause_s) for pause_s in (8.0, 15.0, 30.0, 30.0)
        ]
        assert watch.trouble == here.query.trouble
    assert [one.source for one in here.loop.taken] == ["shop"]


@pytest.mark.parametrize("is_alive", [True, False])
async def test_heartbeat_is_handed_in_while_the_listener_lives(*, is_alive: bool) -> None:
    """As that of a source of its own, so that its silence is a source's silence."""
    clock = StillClock(T0)
    loop = EngineLoop(clock)

    async def asked() -> bool:
        return is_alive

    watch = ListenerWatch("gate", asked, loop, clock)
    await watch.look()
    assert (watch.pause_s, watch.trouble) == (8.0, None)
    assert [one.source for one in loop.taken] == ["listener:gate"] * is_alive
