"""Every kind of effect reaches its receiver and comes back as the matching answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import msgspec
import pytest

from monitor.adapters.channels.base import DeliveryChannel
from monitor.adapters.http_client import HttpClient
from monitor.adapters.performer import OutsidePerformer, integration_name
from monitor.model.effects import (
    CallWebhook,
    Claim,
    Compensate,
    Effect,
    HandOver,
    Notify,
    NotifyBuyer,
    Quarantine,
    Query,
    Refund,
    Release,
    Submit,
    SwitchChannel,
)
from monitor.model.endpoints import Endpoint, Endpoints, ShopEndpoints
from monitor.model.errors import NotFoundError, Permanent
from monitor.model.records import AttemptAnswered, EffectClosed, HandOverAnswered, Notified
from monitor.model.secret import Secret
from monitor.model.times import UnixMs
from monitor.ports import Performer
from tests.loopback import Answer, Loopback, loopback

NOW_MS = 1_700_000_000_000
RAW = msgspec.Raw(b'{"a":1}')
NOTIFY = Notify(
    "n1", "ops", "webhook/0", "alert.firing", "firing", "critical", "t", "x", RAW, NOW_MS
)
WEBHOOK = CallWebhook("w1", "webhooks/0", "order.tier_changed", RAW, NOW_MS)
SWITCH = SwitchChannel("switch_42", 42, RAW, NOW_MS, NOW_MS + 600_000)
CLAIM = Claim("claim_1", "tk_1", "o1", "cl_1", 3, NOW_MS + 60_000)
HAND_OVER = HandOver("hand_1", "tk_1", "o1", "cl_1", 3, "pool", "at_1")
RELEASE = Release("release_1", "tk_1", "o1", "cl_1", 3, "exhausted")
SUBMIT = Submit("s1", "tk_1", "at_1", "pool", "o1", 3, "sku", 1, None, None, None, None)
QUERY = Query("q1", "tk_1", "at_1", "pool", "o1", "sku", 1, None)
TELL = NotifyBuyer("act_1/tell", "act_1", "o1", "delayed", "en", "late", NOW_MS)
COUPON = Compensate("act_2/give", "act_2", "o1", "coupon", 200, "CNY", "L2", NOW_MS)
REFUND = Refund("act_3/refund", "act_3", "o1", "L3", NOW_MS)
QUARANTINE = Quarantine("x1", "tk_1", "at_1", "pool")


class TickingClock:
    """One second later at every look."""

    def __init__(self) -> None:
        self._ticks = count(NOW_MS, 1_000)

    def now_ms(self) -> UnixMs:
        return UnixMs(next(self._ticks))


class ListVault:
    """Goods in memory."""

    def __init__(self, **goods: list[str]) -> None:
        self.kept = dict(goods)

    async def store(self, attempt_ref: str, goods: list[str]) -> str:
        self.kept[attempt_ref] = goods
        return "digest"

    async def goods(self, attempt_ref: str) -> list[str]:
        if attempt_ref not in self.kept:
            raise NotFoundError("no goods")
        return self.kept[attempt_ref]

    async def quarantine(self, attempt_ref: str) -> None:
        self.kept.pop(attempt_ref, None)


class EchoChannel:
    """Accepts everything and remembers what was locked away."""

    def __init__(self) -> None:
        self.locked: list[str] = []

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        return AttemptAnswered(
            effect.key, effect.takeover_id, effect.attempt_ref, "accepted", now_ms
        )

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        return AttemptAnswered(
            effect.key, effect.takeover_id, effect.attempt_ref, "not_found", now_ms, is_query=True
        )

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:
        self.locked.append(effect.attempt_ref)


class World:
    """A performer with everything behind it in sight."""

    def __init__(self, server: Loopback, *, is_configured: bool = True) -> None:
        self.server = server
        self.client = HttpClient(config_hosts=[server.place])
        self.vault = ListVault(at_1=["KEY-1"])
        self.channel = EchoChannel()
        channels: dict[str, DeliveryChannel] = {"pool": self.channel} if is_configured else {}
        endpoints = _endpoints(server) if is_configured else Endpoints()
        self.performer: Performer = OutsidePerformer(
            self.client, endpoints, channels, self.vault, TickingClock()
        )


def _endpoints(server: Loopback) -> Endpoints:
    def endpoint(name: str) -> Endpoint:
        return Endpoint(name, "webhook", Secret(server.url(f"/{name}")), Secret("s"))

    return Endpoints(
        integrations=(endpoint("ops/webhook/0"),),
        webhooks=(endpoint("webhooks/0"),),
        failover=endpoint("failover"),
        shop=ShopEndpoints(server.url("/claim"), server.url("/deliver"), server.url("/release")),
    )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with loopback() as server:
        made = World(server)
        yield made
        await made.client.close()


@pytest.fixture
async def bare() -> AsyncIterator[World]:
    async with loopback() as server:
        made = World(server, is_configured=False)
        yield made
        await made.client.close()


@pytest.mark.parametrize(
    ("effect", "path", "body", "answer"),
    [
        (NOTIFY, "/ops/webhook/0", b"", "notified"),
        (WEBHOOK, "/webhooks/0", b"", "notified"),
        (SWITCH, "/failover", b'{"status":"applied","applied_epoch":42}', "ack"),
        (CLAIM, "/claim", b'{"status":"granted","paid":true}', "claimed"),
        (HAND_OVER, "/deliver", b"", "handed_over"),
        (RELEASE, "/release", b"", "closed"),
    ],
)
async def test_http_effect_reaches_its_endpoint(
    world: World, effect: Effect, path: str, body: bytes, answer: str
) -> None:
    """One request to the endpoint of that name; the answer closes the effect, dated at its end."""
    world.server.script = [Answer(body=body)]
    result = await world.performer.perform(effect)
    assert [seen.path for seen in world.server.seen] == [path]
    assert msgspec.to_builtins(result)["t"] == answer
    assert result.effect_key == effect.key
    assert result.at_ms == NOW_MS + 1_000


async def test_webhook_carries_event_type_and_payload(world: World) -> None:
    """The body of contract §6 under the effect's key."""
    result = await world.performer.perform(WEBHOOK)
    (seen,) = world.server.seen
    assert msgspec.json.decode(seen.body)["type"] == "order.tier_changed"
    assert msgspec.json.decode(seen.body)["data"] == {"a": 1}
    assert seen.headers["webhook-id"] == "w1"
    assert isinstance(result, Notified)
    assert (result.receiver, result.outcome) == ("webhooks/0", "ok")


async def test_hand_over_takes_the_goods_from_the_vault(world: World) -> None:
    """The effect names the attempt; the keys themselves never are in an effect or an answer."""
    result = await world.performer.perform(HAND_OVER)
    assert msgspec.json.decode(world.server.seen[0].body)["goods"] == ["KEY-1"]
    assert isinstance(result, HandOverAnswered)
    assert "KEY-1" not in repr(result)


@pytest.mark.parametrize("goods", [None, []])
async def test_hand_over_without_goods_is_permanent_and_not_sent(
    world: World, goods: list[str] | None
) -> None:
    """An empty delivery would close the order with nothing for the buyer."""
    world.vault.kept = {} if goods is None else {"at_1": goods}
    with pytest.raises(Permanent) as caught:
        await world.performer.perform(HAND_OVER)
    assert caught.value.code == "goods_missing"
    assert world.server.seen == []


async def test_submit_query_and_quarantine_go_to_their_channel(world: World) -> None:
    """The channel's own answers come back."""
    submitted = await world.performer.perform(SUBMIT)
    queried = await world.performer.perform(QUERY)
    closed = await world.performer.perform(QUARANTINE)
    assert isinstance(submitted, AttemptAnswered)
    assert isinstance(queried, AttemptAnswered)
    assert isinstance(closed, EffectClosed)
    assert (submitted.outcome, queried.outcome, closed.outcome) == ("accepted", "not_found", "ok")
    assert world.channel.locked == ["at_1"]


async def test_quarantine_for_a_removed_channel_still_locks_the_goods(bare: World) -> None:
    """Goods outlive the channel they came from."""
    await bare.performer.perform(QUARANTINE)
    assert bare.vault.kept == {}


@pytest.mark.parametrize(
    "effect",
    [NOTIFY, WEBHOOK, SWITCH, CLAIM, HAND_OVER, RELEASE, SUBMIT, QUERY, TELL, COUPON, REFUND],
)
async def test_receiver_that_left_the_configuration_is_permanent(
    bare: World, effect: Effect
) -> None:
    """Old outbox rows meet a new configuration: nothing is sent, nothing crashes."""
    with pytest.raises(Permanent) as caught:
        await bare.performer.perform(effect)
    assert caught.value.code == "not_configured"
    assert bare.server.seen == []


@pytest.mark.parametrize(
    ("receiver", "integration", "name"),
    [
        ("ops", "webhook/0", "ops/webhook/0"),
        ("ops", "ops/webhook/0", "ops/webhook/0"),
        ("webhook", "webhook/0", "webhook/webhook/0"),
    ],
)
def test_integration_is_found_with_and_without_its_receiver(
    receiver: str, integration: str, name: str
) -> None:
    """Endpoints are named `<receiver>/<kind>/<index>`."""
    effect = msgspec.structs.replace(NOTIFY, receiver=receiver, integration=integration)
    assert integration_name(effect) == name
