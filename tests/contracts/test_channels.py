"""What every channel that has goods promises: bought once, in the vault before it is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from monitor.adapters.channels import Parts, build_channels
from monitor.adapters.channels.base import DeliveryChannel
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.stock_pool import import_units
from monitor.adapters.vault import SealedVault
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.errors import NotFoundError
from monitor.model.settings import ChannelSettings
from tests.pool import stock_counts
from tests.supplier import Supplier, supplier

KINDS = ("stock", "queryable", "idempotent")
NOW_MS = 1_000


@dataclass
class Bench:
    """A channel with 100 units of sku `s`, and a way to count what left its shelf."""

    kind: str
    channel: DeliveryChannel
    vault: SealedVault
    goods: GoodsFile
    supplier: Supplier

    async def gone(self) -> int:
        if self.kind != "stock":
            return 100 - self.supplier.stock
        counts = (await stock_counts(self.goods))["s"]
        return 100 - counts["free"]


@pytest.fixture(params=KINDS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Every kind of channel over its real adapter."""
    kind: str = request.param
    goods = GoodsFile(tmp_path)
    await import_units(goods, [f"KEY-{n}" for n in range(100)], "s")
    async with supplier() as running:
        client = HttpClient(config_hosts=[f"127.0.0.1:{running.port}"])
        described = running.channel(kind)
        settings = ChannelSettings("supplier", "stock" if kind == "stock" else "http")
        vault = SealedVault(goods)
        channels = build_channels((settings,), (described,), Parts(client, vault, goods))
        yield Bench(kind, channels["supplier"], vault, goods, running)
        await client.close()
    await goods.close()


def submit(ref: str = "att_1", sku: str = "s", quantity: int = 1) -> Submit:
    return Submit(
        key=f"submit_{ref}",
        takeover_id="tko_1",
        attempt_ref=ref,
        channel="supplier",
        order_id="o1",
        fence=1,
        sku=sku,
        quantity=quantity,
        amount_minor=500,
        currency="CNY",
        region=None,
        max_cost_minor=500,
    )


def query(ref: str = "att_1", number: int = 1) -> Query:
    return Query(
        key=f"query_{ref}_{number}",
        takeover_id="tko_1",
        attempt_ref=ref,
        channel="supplier",
        order_id="o1",
        sku="s",
        quantity=1,
        supplier_ref=None,
    )


async def test_delivered_goods_are_in_the_vault_and_not_in_the_answer(bench: Bench) -> None:
    """The answer carries number and digest; the keys themselves only the vault gives out."""
    answer = await bench.channel.submit(submit(quantity=2), NOW_MS)
    assert (answer.outcome, answer.goods_count, answer.is_query) == ("delivered", 2, False)
    assert answer.effect_key == "submit_att_1"
    goods = await bench.vault.goods("att_1")
    assert len(goods) == 2
    assert b"KEY-" not in msgspec.json.encode(answer)
    assert answer.goods_digest == await bench.vault.store("att_1", goods)


async def test_question_after_a_lost_answer_finds_the_goods_bought_once(bench: Bench) -> None:
    """The answer got lost, the purchase did not: asking brings it in, nothing is bought again."""
    if bench.kind == "stock":
        await bench.channel.submit(submit(), NOW_MS)
    else:
        bench.supplier.answers_to_lose = 1
        lost = await bench.channel.submit(submit(), NOW_MS)
        assert (lost.outcome, lost.goods_count) == ("unknown", 0)
    found = await bench.channel.query(query(), NOW_MS)
    again = await bench.channel.query(query(number=2), NOW_MS)
    assert found.outcome == again.outcome == "delivered"
    assert found.goods_digest == again.goods_digest
    assert len(await bench.vault.goods("att_1")) == 1
    assert await bench.gone() == 1


async def test_two_attempts_never_share_a_key(bench: Bench) -> None:
    """Different refs are different purchases."""
    await bench.channel.submit(submit("att_1"), NOW_MS)
    await bench.channel.submit(submit("att_2"), NOW_MS)
    assert await bench.vault.goods("att_1") != await bench.vault.goods("att_2")
    assert await bench.gone() == 2


async def test_too_few_units_are_a_certain_no_and_nothing_is_taken(bench: Bench) -> None:
    """Half an order is never reserved; another channel may be tried."""
    answer = await bench.channel.submit(submit(quantity=101), NOW_MS)
    assert (answer.outcome, answer.code) == ("rejected", "out_of_stock")
    assert (answer.retry, answer.blame) == ("other", "channel")
    assert await bench.gone() == 0


async def test_locked_goods_are_never_given_out(bench: Bench) -> None:
    """Quarantine may be repeated, and may come before the goods."""
    await bench.channel.submit(submit("att_1"), NOW_MS)
    for ref in ("att_1", "att_1", "att_never"):
        effect = Quarantine(f"quarantine_{ref}", "tko_1", ref, "supplier")
        await bench.channel.quarantine(effect, NOW_MS)
        with pytest.raises(NotFoundError):
            await bench.vault.goods(ref)
    await bench.channel.submit(submit("att_never"), NOW_MS)
    with pytest.raises(NotFoundError):
        await bench.vault.goods("att_never")


async def test_attempt_nobody_heard_of_is_not_found_unless_asking_means_sending(
    bench: Bench,
) -> None:
    """A lookup says not found; a replay is a purchase under the same ref and says so."""
    answer = await bench.channel.query(query(), NOW_MS)
    if bench.kind == "idempotent":
        assert (answer.outcome, answer.is_query) == ("delivered", False)
        assert await bench.gone() == 1
    else:
        assert (answer.outcome, answer.is_query) == ("not_found", True)
        assert await bench.gone() == 0
