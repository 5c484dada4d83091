"""The self-audit: nothing in sound files, and every rule that is broken in them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from monitor.adapters.channels.stock import StockChannel
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.self_audit import ELSEWHERE, INVARIANTS, audit
from monitor.adapters.stock_pool import import_units
from monitor.adapters.storage import sqlite_log, sqlite_takeovers
from monitor.adapters.storage.directory import make_private
from monitor.adapters.storage.sqlite_schema import connect_writer, transaction, upgrade
from monitor.model.effects import Submit
from monitor.model.records import CaseMoved, SwitchDecided
from monitor.model.takeovers import Attempt, TakeoverCase
from monitor.model.times import DAY_MS, MINUTE_MS
from monitor.runtime.segments import segment_of

NOW = 1_700_000_000_000
LIMIT = 10_000


def attempt(number: int, state: str, **more: Any) -> Attempt:
    facts = {"submitted_ms": NOW - MINUTE_MS, "settle_until_ms": NOW - 30_000, **more}
    return Attempt(f"att_{number}", "pool", number, state, **facts)


def case(order_id: str, state: str, *attempts: Attempt, **more: Any) -> TakeoverCase:
    wake_ms = NOW + MINUTE_MS if state not in ("escalated", "delivered", "voided") else None
    facts = {
        "fence": 1,
        "opened_ms": NOW - 2 * MINUTE_MS,
        "changed_ms": NOW,
        "wake_ms": wake_ms,
        "amount_minor": 1_500,
        **more,
    }
    named = tuple(msgspec.structs.replace(one, ref=f"{one.ref}_{order_id}") for one in attempts)
    return TakeoverCase(
        takeover_id=f"tko_{order_id}", order_id=order_id, state=state, claim_id=f"clm_{order_id}",
        held_by_channel="auto", attempts=named, **facts,
    )  # fmt: skip


DELIVERED = case(
    "A1",
    "delivered",
    attempt(1, "disproved", reason="not_found", not_found=2, settle_until_ms=NOW - MINUTE_MS),
    attempt(2, "obtained", goods_count=1, goods_digest="pool-1", supplier_ref="x"),
    resolution="delivered_fallback",
)
WAITING = case("A2", "unknown", attempt(1, "unknown"))
PARKED = case("A3", "escalated", attempt(1, "unknown"), escalated_reason="unknown_outcome")


def switch(epoch: int, mode: str = "enforce", **weights: int) -> SwitchDecided:
    return SwitchDecided(
        f"dec_{epoch}",
        "*",
        epoch,
        epoch - 1,
        weights,
        {},
        "slow",
        mode,
        msgspec.Raw(b"{}"),
        NOW,
        NOW,
    )


@pytest.fixture
async def data_dir(tmp_path: Path) -> Path:
    """A sound data directory: one order delivered, one unclear, one a person's; three units."""
    folder = tmp_path / "data"
    make_private(folder)
    path = folder / "monitor.db"
    path.touch()
    with closing(connect_writer(path)) as sql:
        upgrade(sql, path)
    store(folder, DELIVERED, WAITING, PARKED)
    log(folder, switch(1, auto=100), switch(2, pool=100), switch(3, "advise", auto=0))
    goods = GoodsFile(folder)
    await import_units(goods, ["k1", "k2", "k3"], "sku")
    submit = Submit("submit_x", "tko_A1", DELIVERED.attempts[1].ref, "pool", "A1", 1, "sku", 1, 1_500,
                    "CNY", None, None)  # fmt: skip
    answer = await StockChannel(goods).submit(submit, NOW)
    await goods.close()
    change(folder, "UPDATE attempts SET goods_digest = ? WHERE number = 2", answer.goods_digest)
    return folder


def store(folder: Path, *cases: TakeoverCase) -> None:
    """Write cases as the service does, with their decisions in the log."""
    with closing(connect_writer(folder / "monitor.db")) as sql, transaction(sql):
        for one in cases:
            sqlite_log.append(sql, segment_of("decisions", (CaseMoved(one, NOW),)))
        sqlite_takeovers.refill(sql)


def log(folder: Path, *decisions: SwitchDecided) -> None:
    with closing(connect_writer(folder / "monitor.db")) as sql:
        sqlite_log.append(sql, segment_of("decisions", decisions))


def change(
    folder: Path, statement: str, *values: object, file: str = "monitor.db", attach: str = ""
) -> None:
    """Write past the rules, as a damaged or a hand-edited file would have it."""
    with closing(apsw.Connection(str(folder / file))) as sql:
        if attach:
            sql.execute("ATTACH ? AS vault", (str(folder / attach),))
        triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB ?"
        for glob in ("takeovers_*", "attempts_*"):
            for (name,) in sql.execute(triggers, (glob,)).fetchall():
                sql.execute(f"DROP TRIGGER {name}")
        for index in ("takeovers_open", "attempts_open"):
            sql.execute(f"DROP INDEX IF EXISTS {index}")
        sql.pragma("ignore_check_constraints", "on")
        sql.execute(statement, values)


def broken(folder: Path, now_ms: int = NOW) -> dict[str, tuple[str, ...]]:
    return {one.key: one.found for one in audit(folder, now_ms, LIMIT)}


ATTEMPT = (
    "INSERT INTO attempts SELECT takeover_id, 3, 'att_3', 'supplier', fence, {state}, submitted_ms,"
    " settle_until_ms, 0, 0, NULL, NULL, 0, NULL, NULL, NULL FROM attempts WHERE ref = 'att_1_A2'"
)
CASE = (
    "INSERT INTO takeovers SELECT 'tko_new', order_id, {fence}, claim_id, {state}, opened_ms,"
    " changed_ms, wake_ms, quantity, amount_minor, 0, NULL, {resolution} FROM takeovers"
    " WHERE order_id = 'A2'"
)
PLANTED: dict[str, tuple[str, str]] = {
    "I1": (
        """UPDATE attempts SET state = 'obtained', goods_count = 1, goods_digest =
            (SELECT goods_digest FROM attempts WHERE number = 2) WHERE ref = 'att_1_A3'""",
        "A1,A3",
    ),
    "I2": ("UPDATE takeovers SET quantity = 2 WHERE order_id = 'A1'", "A1"),
    "I3": (ATTEMPT.format(state="'unknown'"), "tko_A2"),
    "I4": (ATTEMPT.format(state="'submitting'"), "att_1_A2"),
    "I5": (
        """INSERT INTO outbox (key, lane, body, due_ms, is_repeatable, tries)
            VALUES ('submit_att_9', 'channel/pool', '', 0, 0, 0)""",
        "submit_att_9",
    ),
    "I6": (
        f"UPDATE attempts SET settle_until_ms = {NOW} - 1210000 WHERE ref = 'att_1_A2'",
        "att_1_A2",
    ),
    "I7": ("UPDATE takeovers SET wake_ms = NULL WHERE order_id = 'A2'", "A2"),
    "I8": (CASE.format(fence=2, state="'voided'", resolution="'refunded'"), "tko_A2"),
    "I9": ("UPDATE takeovers SET resolution = NULL WHERE order_id = 'A1'", "tko_A1"),
    "I10": (f"UPDATE takeovers SET amount_minor = {LIMIT} WHERE order_id = 'A2'", "A2"),
    "I12": ("UPDATE takeovers SET state = 'claimed' WHERE order_id = 'A2'", "tko_A2"),
    "I20": ("UPDATE takeovers SET state = 'advised' WHERE order_id = 'A2'", "tko_A2"),
    "I22": ("UPDATE attempts SET not_found = 1 WHERE ref = 'att_1_A1'", "att_2_A1"),
}


async def test_sound_files_have_no_finding(data_dir: Path) -> None:
    """Whatever is open, given up or delivered is in order."""
    assert audit(data_dir, NOW, LIMIT) == ()


@pytest.mark.parametrize("key", PLANTED)
async def test_row_that_breaks_a_rule_is_found(data_dir: Path, key: str) -> None:
    """By its rule, with the name of what breaks it."""
    statement, name = PLANTED[key]
    change(data_dir, statement)
    found = broken(data_dir)
    assert key in found
    assert name in found[key]


GOODS = {
    "I11": ("DELETE FROM unit WHERE id = 2", "1 units"),
    "I14": ("UPDATE goods SET digest = 'other'", "att_2_A1"),
    "I15": ("UPDATE unit SET state = 'free', attempt_ref = NULL WHERE id = 1", "unit 1"),
}


@pytest.mark.parametrize("key", GOODS)
async def test_goods_that_break_a_rule_are_found(data_dir: Path, key: str) -> None:
    """A unit that vanished, goods that changed, a key that is free again after it was shown."""
    statement, name = GOODS[key]
    change(data_dir, statement, file="goods.db")
    assert broken(data_dir)[key] == (name,)


async def test_resolution_that_the_log_has_twice_is_found(data_dir: Path) -> None:
    """The rows may look sound while two decisions resolved one case."""
    again = msgspec.structs.replace(DELIVERED, state="voided", resolution="refunded")
    with closing(connect_writer(data_dir / "monitor.db")) as sql:
        sqlite_log.append(sql, segment_of("decisions", (CaseMoved(again, NOW),)))
    assert broken(data_dir)["I9"] == ("tko_A1",)


async def test_hole_in_the_log_is_found(data_dir: Path) -> None:
    """Positions are never left out, except those before the first that is kept."""
    change(data_dir, "DELETE FROM segments WHERE position = 1")
    assert audit(data_dir, NOW, LIMIT) == ()
    change(data_dir, "DELETE FROM segments WHERE position = 3")
    assert "1 log positions" in broken(data_dir)["I12"]


@pytest.mark.parametrize(
    ("key", "decision"),
    [
        ("I16", switch(1, auto=100)),
        ("I17", switch(2, auto=100)),
        ("I18", switch(3, auto=0)),
    ],
)
async def test_switch_that_breaks_a_rule_is_found(
    data_dir: Path, key: str, decision: SwitchDecided
) -> None:
    """An epoch that falls, one with two meanings, a route to nowhere."""
    log(data_dir, decision)
    assert broken(data_dir)[key] == (f"epoch {decision.epoch}",)


async def test_route_to_nowhere_is_a_persons_right(data_dir: Path) -> None:
    """Who closes a shop may do so."""
    log(data_dir, switch(3, "manual", auto=0))
    assert audit(data_dir, NOW, LIMIT) == ()


async def test_time_alone_breaks_the_rules_of_waiting(data_dir: Path) -> None:
    """What nobody looked at for half an hour is unresolved and forgotten."""
    assert set(broken(data_dir, NOW + 30 * MINUTE_MS)) == {"I6", "I7"}


async def test_money_of_another_day_does_not_count(data_dir: Path) -> None:
    """The limit is one of a sliding day."""
    change(data_dir, f"UPDATE takeovers SET opened_ms = {NOW - DAY_MS}, amount_minor = {LIMIT}"
           " WHERE order_id = 'A2'")  # fmt: skip
    assert "I10" not in broken(data_dir)


def test_directory_without_a_database_is_sound(tmp_path: Path) -> None:
    """Nothing was taken over yet, and nothing is made by looking."""
    assert audit(tmp_path, NOW) == ()
    assert list(tmp_path.iterdir()) == []


def test_every_rule_is_looked_up_or_says_where_it_is_shown() -> None:
    """I1 to I24, each once; and each that is looked up has a planted bug here."""
    keys = [one.key for one in INVARIANTS]
    assert sorted([*keys, *ELSEWHERE]) == sorted(f"I{number}" for number in range(1, 25))
    assert set(keys) == {*PLANTED, *GOODS, "I16", "I17", "I18"}


async def test_units_that_may_be_shared_are_in_order(data_dir: Path) -> None:
    """The operator sells them many times: they stay free, and two orders have the same."""
    goods = GoodsFile(data_dir)
    await import_units(goods, ["everybody's"], "loop")
    channel = StockChannel(goods, ("loop",))
    for order_id in ("B1", "B2"):
        submit = Submit("submit_x", f"tko_{order_id}", f"att_1_{order_id}", "pool", order_id, 1,
                        "loop", 1, 1_500, "CNY", None, None)  # fmt: skip
        answer = await channel.submit(submit, NOW)
        had = attempt(1, "obtained", goods_count=1, goods_digest=answer.goods_digest)
        store(data_dir, case(order_id, "delivered", had, resolution="delivered_fallback"))
    await goods.close()
    change(data_dir, "UPDATE attempts SET goods_digest = (SELECT digest FROM vault.goods"
           " WHERE attempt_ref = ref) WHERE number = 2", attach="goods.db")  # fmt: skip
    assert audit(data_dir, NOW, LIMIT) == ()
