"""The channel for drills: made-up goods for drills only, and a script that survives a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from monitor.adapters.channels.sim import SimChannel
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.vault import SealedVault
from monitor.model.effects import Query, Submit
from monitor.model.endpoints import Drill
from tests.contracts.test_channels import query, submit


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[SealedVault]:
    file = GoodsFile(tmp_path)
    yield SealedVault(file)
    await file.close()


def order(ref: str = "att_1", order_id: str = "drill-1") -> Submit:
    return msgspec.structs.replace(submit(ref), order_id=order_id)


def question(ref: str = "att_1") -> Query:
    return msgspec.structs.replace(query(ref), order_id="drill-1")


@pytest.mark.parametrize(
    ("line", "first", "later"),
    [
        ("delivered", "delivered", "delivered"),
        ("accepted", "accepted", "delivered"),
        ("lost", "unknown", "delivered"),
        ("unknown", "unknown", "not_found"),
        ("rejected", "rejected", "rejected"),
    ],
)
async def test_line_says_what_the_submit_gets_and_what_asking_finds(
    vault: SealedVault, line: str, first: str, later: str
) -> None:
    """Goods are in the vault wherever delivered is said, the same every time."""
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    channel = SimChannel(Drill("sim", (line,), 1_500), vault, pause)
    assert (await channel.submit(order(), 0)).outcome == first
    found = [await channel.query(question(), 0) for _ in range(2)]
    assert [one.outcome for one in found] == [later, later]
    assert waited == [1.5]
    if later == "delivered":
        assert await vault.goods("att_1") == ["DRILL-att_1-0"]


async def test_real_order_never_gets_a_made_up_key(vault: SealedVault) -> None:
    """Whatever the configuration says: another channel delivers it."""
    channel = SimChannel(Drill("sim"), vault)
    answer = await channel.submit(order(order_id="o1"), 0)
    assert (answer.outcome, answer.code, answer.blame) == ("rejected", "not_a_drill", "us")


async def test_script_is_dealt_by_name_so_a_restart_changes_nothing(vault: SealedVault) -> None:
    """Each line has its turn, and an attempt has the same line in two channels."""
    script = ("accepted", "rejected", "unknown")
    one, two = (SimChannel(Drill("sim", script), vault) for _ in range(2))
    refs = [f"att_{n}" for n in range(60)]
    first = [(await one.submit(order(ref), 0)).outcome for ref in refs]
    assert [(await two.submit(order(ref), 0)).outcome for ref in refs] == first
    assert {outcome: first.count(outcome) > 10 for outcome in script} == dict.fromkeys(script, True)
