"""The shop's three calls against a real loopback shop."""

import traceback
from collections.abc import AsyncIterator

import msgspec
import pytest

from monitor.adapters.http_client import HttpClient
from monitor.adapters.shop import Shop
from monitor.model.effects import Claim, HandOver, Release
from monitor.model.endpoints import ShopEndpoints
from monitor.model.errors import EffectError, Permanent, Transient, UnknownOutcome
from monitor.model.secret import Secret
from monitor.model.webhooks import Verdict
from tests.loopback import DROP, HANG, Answer, Loopback, loopback
from tests.webhooks import verify_webhook

NOW_MS = 1_700_000_000_000
SECRET = Secret("shop-secret")
CLAIM = Claim("claim_1", "tk_1", "o1", "cl_1", 3, NOW_MS + 60_000)
HAND_OVER = HandOver("hand_1", "tk_1", "o1", "cl_1", 3, "pool", "at_1")
RELEASE = Release("release_1", "tk_1", "o1", "cl_1", 3, "exhausted")
GOODS = ["KEY-AAAA", "钥匙"]


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def shop(server: Loopback) -> AsyncIterator[Shop]:
    client = HttpClient(config_hosts=[server.place], timeout_ms_max=400)
    yield Shop(client, shop_endpoints(server))
    await client.close()


def shop_endpoints(server: Loopback) -> ShopEndpoints:
    return ShopEndpoints(
        claim_url=server.url("/claim"),
        deliver_url=server.url("/deliver"),
        release_url=server.url("/release"),
        secret=SECRET,
    )


async def test_granted_claim_carries_what_the_shop_says(shop: Shop, server: Loopback) -> None:
    """The request is that of contract §5 and signed; paid, sku, quantity, amount come back."""
    server.script = [
        Answer(
            body=b'{"status":"granted","paid":true,"sku":"s","quantity":2,"amount_minor":990,"x":1}'
        )
    ]
    answer = await shop.claim(CLAIM, NOW_MS)
    assert (answer.status, answer.paid, answer.sku) == ("granted", True, "s")
    assert (answer.quantity, answer.amount_minor) == (2, 990)
    assert (answer.effect_key, answer.takeover_id) == ("claim_1", "tk_1")
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/claim")
    assert seen.body == (
        b'{"claim_id":"cl_1","expires_at":"2023-11-14T22:14:20Z","fence":3,"order_id":"o1"}'
    )
    assert verify_webhook([SECRET], seen.headers, seen.body, NOW_MS) is Verdict.VALID


async def test_grant_that_does_not_say_paid_is_not_paid(shop: Shop, server: Loopback) -> None:
    """No answer about payment is no payment."""
    server.script = [Answer(body=b'{"status":"granted"}')]
    assert (await shop.claim(CLAIM, NOW_MS)).paid is False


@pytest.mark.parametrize("http", [200, 409])
@pytest.mark.parametrize("status", ["denied", "already_delivered"])
async def test_refused_claim_needs_only_its_status(
    shop: Shop, server: Loopback, status: str, http: int
) -> None:
    """Nulls and odd fields beside a refusal do not hide it; a shop may well call it a conflict."""
    server.script = [Answer(http, body=f'{{"status":"{status}","quantity":null}}'.encode())]
    assert (await shop.claim(CLAIM, NOW_MS)).status == status


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":"granted","paid":true}'])
async def test_conflict_that_says_no_refusal_is_final(
    shop: Shop, server: Loopback, body: bytes
) -> None:
    """A grant comes with 2xx: a 409 grants nothing."""
    server.script = [Answer(409, body=body)]
    with pytest.raises(Permanent):
        await shop.claim(CLAIM, NOW_MS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"[]",
        b"{}",
        b"\xff",
        b'{"status":"yes"}',
        b'{"status":"granted","paid":"true"}',
        b'{"status":"granted","paid":1}',
        b'{"status":"granted","paid":true,"quantity":0}',
        b'{"status":"granted","paid":true,"quantity":-1}',
        b'{"status":"granted","paid":true,"amount_minor":-5}',
        b'{"status":"granted","paid":true,"amount_minor":1e30}',
        b'{"status":"granted","paid":true,"sku":7}',
        b'{"status":"granted","paid":true',
        b'{"a":' * 3_000,
    ],
)
async def test_claim_answer_that_is_not_understood_is_unknown(
    shop: Shop, server: Loopback, body: bytes
) -> None:
    """A 200 with anything else is no grant; the claim is asked again."""
    server.script = [Answer(body=body)]
    with pytest.raises(UnknownOutcome):
        await shop.claim(CLAIM, NOW_MS)


async def test_goods_are_delivered_byte_identical_when_repeated(
    shop: Shop, server: Loopback
) -> None:
    """The same Idempotency-Key, id and bytes; only the time of the attempt is new."""
    server.script = [Answer(502), Answer(200)]
    with pytest.raises(UnknownOutcome):
        await shop.deliver(HAND_OVER, GOODS, NOW_MS)
    answer = await shop.deliver(HAND_OVER, GOODS, NOW_MS + 9_000)
    assert (answer.outcome, answer.effect_key) == ("delivered", "hand_1")
    first, second = server.seen
    assert first.body == second.body
    assert (
        first.body
        == (
            '{"channel":"pool","claim_id":"cl_1","fence":3,"goods":["KEY-AAAA","钥匙"],'
            '"order_id":"o1","takeover_id":"tk_1"}'
        ).encode()
    )
    for seen in server.seen:
        assert (seen.path, seen.headers["idempotency-key"]) == ("/deliver", "tk_1")
        assert seen.headers["webhook-id"] == "hand_1"
    assert verify_webhook([SECRET], second.headers, second.body, NOW_MS) is Verdict.VALID


async def test_conflict_that_says_already_delivered_is_an_answer(
    shop: Shop, server: Loopback
) -> None:
    """The shop was faster: the goods are to be quarantined."""
    server.script = [Answer(409, b'{"status":"already_delivered"}')]
    assert (await shop.deliver(HAND_OVER, GOODS, NOW_MS)).outcome == "already_delivered"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":"stale_fence"}', b"<html>"])
async def test_any_other_conflict_is_permanent(shop: Shop, server: Loopback, body: bytes) -> None:
    """A 409 for another reason must not pass for a delivery by the shop."""
    server.script = [Answer(409, body)]
    with pytest.raises(Permanent):
        await shop.deliver(HAND_OVER, GOODS, NOW_MS)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(500), UnknownOutcome),
        (Answer(504), UnknownOutcome),
        (HANG, UnknownOutcome),
        (DROP, UnknownOutcome),
        (Answer(429), Transient),
        (Answer(503), Transient),
        (Answer(400), Permanent),
        (Answer(403), Permanent),
        (Answer(302, headers={"Location": "/"}), Permanent),
    ],
)
async def test_failure_says_what_is_known_and_shows_no_goods(
    shop: Shop, server: Loopback, answer: Answer, error: type[EffectError]
) -> None:
    """All three calls sort failures alike; no error holds a card key or the secret."""
    server.script = [answer]
    for call in (
        shop.claim(CLAIM, NOW_MS),
        shop.deliver(HAND_OVER, GOODS, NOW_MS),
        shop.release(RELEASE, NOW_MS),
    ):
        with pytest.raises(error) as caught:
            await call
        shown = "".join(traceback.format_exception(caught.value))
        assert "KEY-AAAA" not in shown
        assert "shop-secret" not in shown


async def test_release_gives_the_order_back(shop: Shop, server: Loopback) -> None:
    """Order, claim, fence and the reason; any 2xx closes it."""
    server.script = [Answer(204)]
    assert (await shop.release(RELEASE, NOW_MS)).outcome == "ok"
    assert msgspec.json.decode(server.seen[0].body) == {
        "order_id": "o1",
        "claim_id": "cl_1",
        "fence": 3,
        "reason": "exhausted",
    }


async def test_shop_without_release_url_is_not_called(server: Loopback) -> None:
    """The claim expires by itself; the effect is closed."""
    client = HttpClient(config_hosts=[server.place])
    quiet = Shop(client, ShopEndpoints(server.url("/c"), server.url("/d")))
    assert (await quiet.release(RELEASE, NOW_MS)).outcome == "ok"
    assert server.seen == []
    await client.close()
