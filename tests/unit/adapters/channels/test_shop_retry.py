"""The shop is asked to try again: once per order, signed, and believed only where it is clear."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from monitor.adapters.channels.shop_retry import ShopRetryChannel
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import ShopRetry
from monitor.model.secret import Secret
from monitor.model.webhooks import Signature, matching_keys, read_signature, webhook_key
from tests.contracts.test_channels import query, submit
from tests.loopback import DROP, Answer, Loopback, loopback

SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
NOW_MS = 1_772_323_200_000


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def channel(server: Loopback) -> AsyncIterator[ShopRetryChannel]:
    client = HttpClient(config_hosts=[server.place, "127.0.0.1:1"])
    yield ShopRetryChannel(ShopRetry("again", server.url("/retry"), SECRET), client)
    await client.close()


async def test_request_names_the_order_and_is_signed(
    channel: ShopRetryChannel, server: Loopback
) -> None:
    """One key per order: whatever is repeated, the shop tries once."""
    server.script = [Answer(body=b'{"status":"started"}')]
    assert (await channel.submit(submit(), NOW_MS)).outcome == "accepted"
    assert (await channel.query(query(), NOW_MS)).outcome == "accepted"
    first, second = server.seen
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == "retry_o1"
    assert json.loads(first.body) == {
        "attempt_ref": "att_1", "fence": 1, "order_id": "o1", "question": False,
    }  # fmt: skip
    assert json.loads(second.body)["question"] is True
    signature = read_signature(first.headers, NOW_MS)
    assert isinstance(signature, Signature)
    assert matching_keys(signature, [webhook_key(SECRET)], first.body)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (Answer(body=b'{"status":"started"}'), "accepted"),
        (Answer(body=b'{"status":"delivered"}'), "accepted"),
        (Answer(body=b'{"status":"refused"}'), "rejected"),
        (Answer(409, b'{"status":"delivered"}'), "accepted"),
        (Answer(body=b'{"status":"failed"}'), "unknown"),
        (Answer(body=b"ok"), "unknown"),
        (Answer(404, b'{"status":"refused"}'), "unknown"),
        (Answer(500, b'{"status":"refused"}'), "unknown"),
        (DROP, "unknown"),
    ],
)
async def test_answer_counts_only_where_it_is_clear(
    channel: ShopRetryChannel, server: Loopback, said: Answer, outcome: str
) -> None:
    """That it was delivered is for the shop's own event to say; a doubtful no is no no."""
    server.script = [said]
    asked = await channel.query(query(), NOW_MS)
    assert (asked.outcome, asked.is_query, asked.goods_count) == (outcome, True, 0)
    sent = await channel.submit(submit(), NOW_MS)
    assert (sent.outcome, sent.is_query) == (outcome, False)


async def test_shop_that_is_not_there_was_certainly_not_asked(server: Loopback) -> None:
    """The next channel may be tried."""
    client = HttpClient(config_hosts=["127.0.0.1:1"])
    channel = ShopRetryChannel(ShopRetry("again", "http://127.0.0.1:1/retry"), client)
    answer = await channel.submit(submit(), NOW_MS)
    assert (answer.outcome, answer.code) == ("rejected", "not_sent")
    await client.close()
