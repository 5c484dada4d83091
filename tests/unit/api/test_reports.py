"""Suppliers that call by themselves and executors that report: believed as far as an answer is."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.adapters.channel_reports import Reports
from monitor.adapters.channels import Parts, build_channels
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.vault import SealedVault
from monitor.core.takeover.steps import claim_key, submit_key
from monitor.model.endpoints import HttpChannel
from monitor.model.records import AttemptAnswered, ClaimAnswered
from monitor.model.settings import ChannelSettings, FallbackSettings
from monitor.model.takeovers import Attempt, TakeoverCase
from monitor.model.times import MINUTE_MS
from tests.unit.api.serving import SETTINGS, Answered, MemoryService, Server, ask, serving
from tests.unit.api.test_orders import event
from tests.unit.config.files import load_text

HOOK = "/hooks/channels/supplier"
SIGNED_PATH = "/api/v1/upstream/callback"
GOODS = "ABCD-EFGH"


def supplier(folder: Path) -> HttpChannel:
    """dujiao-next, as `monitor.yaml` names it."""
    text = """
    channels:
      - name: supplier
        preset: dujiao-next
        base_url: "http://127.0.0.1:9"
        sign: {account: dj_key, secret: "${env:S}"}
    """
    return load_text(folder, text, {"S": "dj_secret"}).endpoints.http_channels[0]


class Desk:
    """A service with one claimed order that was just submitted to the supplier."""

    def __init__(self, server: Server, vault: SealedVault) -> None:
        self.server, self.vault = server, vault
        self.service = server.service
        case = self.case
        self.service.take(
            ClaimAnswered(
                claim_key(case), case.takeover_id, "granted", self.now_ms, paid=True,
                sku="1", quantity=1, amount_minor=100,
            )
        )  # fmt: skip

    @property
    def now_ms(self) -> int:
        return self.service.clock.now_ms()

    @property
    def case(self) -> TakeoverCase:
        case = self.service.engine.shard.orders["o1"].case
        assert case is not None
        return case

    @property
    def attempt(self) -> Attempt:
        return self.case.attempts[-1]

    def answered(self, outcome: str) -> None:
        """The supplier's answer to the submit."""
        ref = self.attempt.ref
        self.service.take(
            AttemptAnswered(submit_key(ref), self.case.takeover_id, ref, outcome, self.now_ms)
        )

    async def call(
        self, words: dict[str, Any], *, secret: bytes = b"dj_secret", late_s: int = 0,
        name: str = "supplier", forge: bytes | None = None,
    ) -> Answered:  # fmt: skip
        """A callback, signed as the supplier's document says."""
        body = json.dumps(words).encode()
        at_s = str(self.now_ms // 1000 - late_s)
        text = f"POST\n{SIGNED_PATH}\n{at_s}\n{hashlib.md5(body).hexdigest()}"
        headers = {
            "Content-Type": "application/json",
            "Dujiao-Next-Api-Key": "dj_key",
            "Dujiao-Next-Timestamp": at_s,
            "Dujiao-Next-Signature": hmac.new(secret, text.encode(), "sha256").hexdigest(),
        }
        path = f"/hooks/channels/{name}"
        return await ask(
            self.server, path, method="POST", raw=forge or body, token=None, headers=headers
        )

    def words(self, status: str = "completed", **more: Any) -> dict[str, Any]:
        """What the supplier says when it has delivered."""
        fulfilment = {"type": "auto", "status": "delivered", "payload": GOODS}
        said = {"order_id": 101, "downstream_order_no": self.attempt.ref, "status": status}
        return said | {"fulfillment": fulfilment} | more


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    described = supplier(tmp_path)
    channel = ChannelSettings("supplier", "http", "detectable", is_followed=True)
    fallback = FallbackSettings("enforce", order=("supplier",), has_shop=True)
    settings = msgspec.structs.replace(
        SETTINGS, channels=(*SETTINGS.channels, channel), fallback=fallback
    )
    service = MemoryService(settings)
    service.take(event("order.paid", "o1", 0, amount_minor=100))
    for _ in range(7):
        service.wait(MINUTE_MS)
    goods, client = GoodsFile(tmp_path), HttpClient()
    vault = SealedVault(goods)
    channels = build_channels((channel,), (described,), Parts(client, vault, goods))
    service.reports = Reports(channels, (described,), vault)
    async with serving(service=service) as server:
        yield Desk(server, vault)
    await client.close()
    await goods.close()


async def test_callback_with_goods_clears_up_a_lost_answer(desk: Desk) -> None:
    """The goods are in the vault before the supplier is told, and are handed over; again is harmless."""
    for _ in range(2):
        answer = await desk.call(desk.words())
        assert (answer.status, answer.body) == (200, {"ok": True, "message": "received"})
    assert (desk.case.state, desk.attempt.state) == ("handing_over", "obtained")
    assert (desk.attempt.goods_count, desk.attempt.supplier_ref) == (1, "101")
    assert await desk.vault.goods(desk.attempt.ref) == [GOODS]


async def test_goods_for_a_case_that_a_person_has_are_locked_away(desk: Desk) -> None:
    """The answer was lost and a person has the order: the late goods are never handed out twice."""
    desk.answered("unknown")
    assert desk.case.state == "escalated"
    assert (await desk.call(desk.words())).status == 200
    assert (desk.case.state, desk.attempt.state) == ("escalated", "quarantined")


async def test_callback_without_goods_counts_as_accepted(desk: Desk) -> None:
    """It says where the order is; the supplier's number lets us ask."""
    answer = await desk.call(desk.words("fulfilling", fulfillment=None))
    assert answer.status == 200
    assert (desk.attempt.state, desk.attempt.supplier_ref) == ("accepted", "101")


async def test_supplier_that_tells_its_progress_is_asked_all_the_same(desk: Desk) -> None:
    """The same word again changes nothing: the next question is not put off by it."""
    await desk.call(desk.words("fulfilling", fulfillment=None))
    once = desk.case
    for _ in range(5):
        answer = await desk.call(desk.words("fulfilling", fulfillment=None))
        assert (answer.status, answer.body["ok"]) == (200, True)
    assert desk.case is once
    assert desk.attempt.queries == 1


@pytest.mark.parametrize("wrong", ["secret", "time", "body", "name", "no signature"])
async def test_call_that_proves_nothing_does_nothing(desk: Desk, wrong: str) -> None:
    """One answer for all of them: a stranger does not even learn which channels there are."""
    before, words = desk.case, desk.words()
    match wrong:
        case "secret":
            answer = await desk.call(words, secret=b"guess")
        case "time":
            answer = await desk.call(words, late_s=301)
        case "body":
            answer = await desk.call(words, forge=json.dumps(words | {"order_id": 1}).encode())
        case "name":
            answer = await desk.call(words, name="auto")
        case _:
            answer = await ask(desk.server, HOOK, words, token=None)
    assert (answer.status, answer.body["code"]) == (401, "unauthorized")
    assert desk.case == before


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"downstream_order_no": "att_of_somebody"}, 404),
        ({"downstream_order_no": None}, 401),
        ({"status": "canceled", "fulfillment": None}, 400),
        ({"status": "reticulating", "fulfillment": None}, 400),
    ],
)
async def test_words_about_nothing_we_know_do_nothing(
    desk: Desk, change: dict[str, Any], status: int
) -> None:
    """An unknown attempt, an unlisted state: the supplier is told that it was not taken."""
    before = desk.case
    assert (await desk.call(desk.words() | change)).status == status
    assert desk.case == before


RESULT = {"outcome": "delivered", "goods": [GOODS], "cost_minor": 90}


async def test_executor_reports_its_goods(desk: Desk) -> None:
    """They go into the vault, the order is handed over, and the audit says who reported."""
    desk.answered("accepted")
    answer = await ask(desk.server, f"/v1/attempts/{desk.attempt.ref}/result", RESULT)
    assert (answer.status, answer.body["state"]) == (200, "handing_over")
    assert await desk.vault.goods(desk.attempt.ref) == [GOODS]
    assert desk.attempt.cost_minor == 90
    assert [one.action for one in desk.service.audited] == ["attempt.result"]
    assert GOODS.encode() not in msgspec.json.encode(desk.service.audited)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"outcome": "delivered"}, 400),
        ({"outcome": "accepted", "goods": ["k"]}, 400),
        ({"outcome": "rejected"}, 400),
        ({"outcome": "not_found"}, 400),
        ({"outcome": "delivered", "goods": [""]}, 400),
        ({"outcome": "delivered", "goods": ["k"], "keys": 1}, 400),
    ],
)
async def test_result_that_makes_no_sense_is_refused(
    desk: Desk, body: dict[str, Any], status: int
) -> None:
    """Goods come with delivered, a rejection with its code; nothing happens otherwise."""
    before = desk.case
    answer = await ask(desk.server, f"/v1/attempts/{desk.attempt.ref}/result", body)
    assert (answer.status, desk.case) == (status, before)


async def test_result_of_nobody_or_without_the_right_is_refused(desk: Desk) -> None:
    """An attempt that does not exist, a caller without a token."""
    assert (await ask(desk.server, "/v1/attempts/att_x/result", RESULT)).status == 404
    path = f"/v1/attempts/{desk.attempt.ref}/result"
    assert (await ask(desk.server, path, RESULT, token=None)).status == 401
