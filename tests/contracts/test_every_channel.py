"""What every kind of channel promises, goods or none: a closed set of words, and never an exception."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from monitor.adapters.channels import CHANNELS, Parts, build_channels
from monitor.adapters.channels.base import DeliveryChannel
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.vault import SealedVault
from monitor.model.effects import Quarantine
from monitor.model.endpoints import Drill, HttpChannel, HttpRequest, ShopRetry
from monitor.model.settings import ChannelSettings
from tests.contracts.test_channels import query, submit
from tests.loopback import DROP, Answer, Loopback, loopback

WORDS = {"delivered", "accepted", "rejected", "unknown"}
ASKED = WORDS | {"not_found", "duplicate"}
OUTSIDE = (
    DROP,
    Answer(500, b"{}"),
    Answer(404, b"<html>not here</html>"),
    Answer(200, b'{"status":"no such word"}'),
    Answer(200, b"[" * 15_000),
    Answer(302, b"", {"Location": "http://127.0.0.1:1/"}),
)


@pytest.fixture(params=sorted(CHANNELS))
async def placed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[DeliveryChannel, Loopback]]:
    """Each kind of the table, so that a new one cannot forget this suite."""
    goods = GoodsFile(tmp_path)
    async with loopback() as server:
        client = HttpClient(config_hosts=[server.place])
        described = HttpChannel(
            "c", HttpRequest("POST", server.url("/buy")), HttpRequest("GET", server.url("/q")), ()
        )
        own = (ShopRetry("c", server.url("/retry")), Drill("c", ("lost", "rejected")))
        parts = Parts(client, SealedVault(goods), goods, own=own)
        settings = ChannelSettings("c", request.param)
        yield build_channels((settings,), (described,), parts)["c"], server
        await client.close()
    await goods.close()


@pytest.mark.parametrize("said", OUTSIDE, ids=lambda said: f"{said.kind}-{said.status}")
async def test_whatever_the_outside_says_the_answer_is_a_word(
    placed: tuple[DeliveryChannel, Loopback], said: Answer
) -> None:
    """Each answer names its effect and attempt; nobody invents goods, and a doubt is no rejection."""
    channel, server = placed
    server.script = [said]
    for order_id in ("o1", "drill-1"):
        first = await channel.submit(msgspec.structs.replace(submit(), order_id=order_id), 5)
        assert first.outcome in WORDS
        assert (first.effect_key, first.attempt_ref, first.at_ms) == ("submit_att_1", "att_1", 5)
        assert not first.is_query
        found = await channel.query(msgspec.structs.replace(query(), order_id=order_id), 6)
        assert found.outcome in ASKED
        assert (found.effect_key, found.attempt_ref) == ("query_att_1_1", "att_1")
        for answer in (first, found):
            assert (answer.outcome == "delivered") == (answer.goods_digest is not None)
            if server.seen:  # something left us, and what came back was no clear no
                assert answer.outcome != "rejected"


async def test_quarantine_may_be_repeated_and_may_come_first(
    placed: tuple[DeliveryChannel, Loopback],
) -> None:
    """Also for an attempt that never had goods."""
    channel, _ = placed
    for _ in range(2):
        await channel.quarantine(Quarantine("quarantine_att_9", "tko_1", "att_9", "c"), 0)
