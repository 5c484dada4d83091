"""What the shop is asked to do for a buyer, against a real loopback shop: tell, compensate, refund."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from monitor.adapters.http_client import HttpClient
from monitor.adapters.shop import Shop
from monitor.model.effects import Compensate, NotifyBuyer, Refund, refund_id
from monitor.model.endpoints import ShopEndpoints
from monitor.model.errors import Permanent, Transient, UnknownOutcome
from monitor.model.records import ActionAnswered
from monitor.model.secret import Secret
from monitor.model.webhooks import Verdict
from tests.loopback import Answer, Loopback, loopback
from tests.webhooks import verify_webhook

NOW_MS = 1_700_000_000_000
SECRET = Secret("shop-secret")
TELL = NotifyBuyer("a1/tell", "a1", "o1", "delayed", "en", "Sorry, it is late", NOW_MS, ("page",))
OFFER = msgspec.structs.replace(
    TELL, choices=("refund", "wait"), expires_ms=NOW_MS + 60_000, default="refund"
)
COUPON = Compensate("a2/give", "a2", "o1", "coupon", 200, "CNY", "L2", NOW_MS)
REFUND = Refund("a3/refund", refund_id("o1"), "o1", "L3", NOW_MS, 990, "CNY", "tko_1", "clm_1", 2)


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def shop(server: Loopback) -> AsyncIterator[Shop]:
    client = HttpClient(config_hosts=[server.place], timeout_ms_max=400)
    endpoints = ShopEndpoints(
        claim_url=server.url("/claim"),
        deliver_url=server.url("/deliver"),
        notify_url=server.url("/notify"),
        compensate_url=server.url("/compensate"),
        refund_url=server.url("/refund"),
        secret=SECRET,
    )
    yield Shop(client, endpoints)
    await client.close()


async def act(shop: Shop, effect: NotifyBuyer | Compensate | Refund, at_ms: int) -> ActionAnswered:
    match effect:
        case NotifyBuyer():
            return await shop.notify(effect, at_ms)
        case Compensate():
            return await shop.compensate(effect, at_ms)
        case Refund():
            return await shop.refund(effect, at_ms)


@pytest.mark.parametrize(
    ("effect", "path", "body"),
    [
        (
            TELL,
            "/notify",
            {"template": "delayed", "language": "en", "text": "Sorry, it is late",
             "channels": ["page"]},
        ),
        (
            OFFER,
            "/notify",
            {"template": "delayed", "language": "en", "text": "Sorry, it is late",
             "channels": ["page"], "choices": ["refund", "wait"], "default": "refund",
             "expires_at": "2023-11-14T22:14:20Z"},
        ),
        (
            COUPON,
            "/compensate",
            {"kind": "coupon", "amount_minor": 200, "currency": "CNY", "reason": "L2"},
        ),
        (
            REFUND,
            "/refund",
            {"reason": "L3", "amount_minor": 990, "currency": "CNY", "takeover_id": "tko_1",
             "claim_id": "clm_1", "fence": 2},
        ),
    ],
)  # fmt: skip
async def test_request_names_order_and_action_and_is_signed(
    shop: Shop,
    server: Loopback,
    effect: NotifyBuyer | Compensate | Refund,
    path: str,
    body: dict[str, object],
) -> None:
    """Contract §5: order_id, action_id and what is to be done; the action is also the key."""
    server.script = [Answer(204)]
    answer = await act(shop, effect, NOW_MS)
    expected = ActionAnswered(effect.key, effect.action_id, "o1", "done", NOW_MS)
    assert answer == expected
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", path)
    assert msgspec.json.decode(seen.body) == {
        "order_id": "o1", "action_id": effect.action_id, **body,
    }  # fmt: skip
    assert seen.headers["idempotency-key"] == effect.action_id
    assert verify_webhook([SECRET], seen.headers, seen.body, NOW_MS) is Verdict.VALID


@pytest.mark.parametrize("effect", [TELL, COUPON, REFUND])
async def test_unclear_answer_is_asked_again_with_the_same_bytes(
    shop: Shop, server: Loopback, effect: NotifyBuyer | Compensate | Refund
) -> None:
    """A 5xx may have been done: the same action is sent again; a busy shop is left in peace."""
    server.script = [Answer(502), Answer(429, headers={"Retry-After": "7"}), Answer(200)]
    with pytest.raises(UnknownOutcome):
        await act(shop, effect, NOW_MS)
    with pytest.raises(Transient) as busy:
        await act(shop, effect, NOW_MS + 1)
    assert busy.value.retry_after_ms == 7_000
    assert (await act(shop, effect, NOW_MS + 9_000)).outcome == "done"
    assert len({seen.body for seen in server.seen}) == 1


@pytest.mark.parametrize("status", ["already_delivered", "already_refunded"])
async def test_shop_that_was_faster_says_so(shop: Shop, server: Loopback, status: str) -> None:
    """A conflict is the shop's compare-and-set: the order was delivered, or is refunded."""
    server.script = [Answer(409, body=f'{{"status":"{status}"}}'.encode())]
    assert (await shop.refund(REFUND, NOW_MS)).outcome == status


@pytest.mark.parametrize("body", [b"", b"no", b'{"status":"refunded"}'])
async def test_conflict_without_a_known_word_is_a_refusal(
    shop: Shop, server: Loopback, body: bytes
) -> None:
    """Nobody may take a refund for done because a proxy answered."""
    server.script = [Answer(409, body=body)]
    with pytest.raises(Permanent):
        await shop.refund(REFUND, NOW_MS)


@pytest.mark.parametrize("effect", [TELL, COUPON, REFUND])
async def test_shop_without_the_url_is_asked_nothing(
    server: Loopback, effect: NotifyBuyer | Compensate | Refund
) -> None:
    """An action decided before the URL was taken away fails and says what is missing."""
    client = HttpClient(config_hosts=[server.place])
    quiet = Shop(client, ShopEndpoints(server.url("/c"), server.url("/d")))
    with pytest.raises(Permanent, match="is not in the configuration"):
        await act(quiet, effect, NOW_MS)
    assert server.seen == []
    await client.close()


def test_an_order_has_one_refund() -> None:
    """Two reasons to refund name the same action, so the shop pays once."""
    assert refund_id("o1") == refund_id("o1") != refund_id("o2")
