"""Cases and attempts as rows: what the rules of the database let through, and what they stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from monitor.adapters.storage import sqlite_log, sqlite_state, sqlite_takeovers
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.adapters.storage.sqlite_schema import MIGRATIONS, connect_writer, transaction, upgrade
from monitor.core.engine import Engine
from monitor.core.orders.facts import Facts
from monitor.core.orders.order import Order
from monitor.core.orders.stored import write_order
from monitor.model.errors import InvariantError
from monitor.model.records import CaseMoved
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase
from monitor.model.times import UnixMs
from monitor.ports import Checkpoint
from monitor.runtime.loop import Loop
from monitor.runtime.segments import segment_of

T0 = 1_700_000_000_000
Change = Callable[[TakeoverCase], TakeoverCase]


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[apsw.Connection]:
    """An empty database with the newest schema."""
    path = tmp_path / "monitor.db"
    path.touch()
    connection = connect_writer(path)
    upgrade(connection, path)
    yield connection
    connection.close()


def tried(number: int, state: str, **more: Any) -> Attempt:
    return Attempt(f"att_{number}", f"channel-{number}", number, state, T0, T0 + 30_000, **more)


def taken(*attempts: Attempt, state: str = "submitting", **more: Any) -> TakeoverCase:
    facts = {"takeover_id": "tko_1", "order_id": "A1", "claim_id": "clm_1", "fence": 1, **more}
    return TakeoverCase(
        state=state, opened_ms=T0, changed_ms=T0, held_by_channel="auto", attempts=attempts, **facts
    )


BOUGHT = taken(tried(1, "submitting"))
UNKNOWN = taken(tried(1, "unknown"), state="unknown")
HANDING = taken(tried(1, "obtained", goods_count=1, goods_digest="d1"), state="handing_over")
DONE = taken(
    tried(1, "obtained", goods_count=1, goods_digest="d1"),
    state="delivered",
    resolution="delivered_fallback",
)


def put(sql: apsw.Connection, *cases: TakeoverCase) -> None:
    with transaction(sql):
        sqlite_takeovers.put(sql, cases)


def rows(sql: apsw.Connection) -> list[Any]:
    cases = sql.execute("SELECT order_id, fence, state, resolution FROM takeovers ORDER BY 1, 2")
    attempts = sql.execute("SELECT ref, fence, state, goods_digest FROM attempts ORDER BY 1")
    return [*cases.fetchall(), *attempts.fetchall()]


def test_case_from_claim_to_delivery_is_two_rows(sql: apsw.Connection) -> None:
    """Each move replaces the row; at the end the resolution stands."""
    for case in (taken(state="claiming"), taken(state="claimed"), BOUGHT, UNKNOWN, HANDING, DONE):
        put(sql, case)
    assert rows(sql) == [
        ("A1", 1, "delivered", "delivered_fallback"),
        ("att_1", 1, "obtained", "d1"),
    ]


def test_two_moves_in_one_commit_are_written_in_their_order(sql: apsw.Connection) -> None:
    """An attempt that begins and a refund that closes the case may fall into one turn."""
    put(sql, taken(state="claiming"), BOUGHT, taken(tried(1, "submitting"), state="voided",
                                                    resolution="refunded"))  # fmt: skip
    assert rows(sql)[0] == ("A1", 1, "voided", "refunded")


def test_goods_that_come_after_all_are_locked_away_beside_a_newer_attempt(
    sql: apsw.Connection,
) -> None:
    """The first try was disproved and bought something anyway; the second goes on."""
    put(
        sql,
        BOUGHT,
        taken(tried(1, "disproved")),
        taken(tried(1, "disproved"), tried(2, "submitting")),
    )
    put(sql, taken(tried(1, "quarantined", goods_digest="late"), tried(2, "submitting")))
    assert rows(sql)[1:] == [("att_1", 1, "quarantined", "late"), ("att_2", 1, "submitting", None)]


VIOLATIONS: dict[str, tuple[tuple[TakeoverCase, ...], TakeoverCase, str]] = {
    "a second open case of one order": (
        (taken(state="claiming"),),
        taken(state="claiming", takeover_id="tko_2", fence=2),
        "UNIQUE",
    ),
    "two cases of one order under one fence": (
        (taken(state="advised"),),
        taken(state="advised", takeover_id="tko_2"),
        "UNIQUE",
    ),
    "a case under an old fence": (
        (taken(state="voided", fence=3, resolution="refunded"),),
        taken(state="advised", takeover_id="tko_2", fence=2),
        "under an old fence",
    ),
    "a write with an old fence": (
        (taken(state="claiming", fence=3),),
        taken(state="claimed", fence=2),
        "with an old fence",
    ),
    "a second resolution": (
        (taken(state="voided", resolution="refunded"),),
        taken(state="voided", resolution="delivered_primary"),
        "written once",
    ),
    "a resolution that is taken back": (
        (taken(state="escalated", resolution="refunded"),),
        taken(state="escalated"),
        "written once",
    ),
    "an end without a resolution": ((taken(state="claiming"),), taken(state="voided"), "CHECK"),
    "a closed case that is opened again": (
        (taken(state="voided", resolution="refunded"),),
        taken(state="handing_over", resolution="refunded"),
        "closed case",
    ),
    "a second channel while the first may still deliver": (
        (BOUGHT, UNKNOWN),
        taken(tried(1, "unknown"), tried(2, "submitting")),
        "UNIQUE",
    ),
    "a second channel after goods were locked away": (
        (BOUGHT, taken(tried(1, "quarantined"))),
        taken(tried(1, "quarantined"), tried(2, "submitting")),
        "begins where none may",
    ),
    "an attempt of a closed case": (
        (taken(state="voided", resolution="refunded"),),
        taken(tried(1, "submitting"), state="voided", resolution="refunded"),
        "begins where none may",
    ),
    "an attempt without an intent": (
        (taken(state="claimed"),),
        taken(tried(1, "unknown"), state="unknown"),
        "begins where none may",
    ),
    "a disproved attempt that is open again": (
        (BOUGHT, taken(tried(1, "disproved"))),
        UNKNOWN,
        "no known way",
    ),
    "locked goods that are handed out": (
        (BOUGHT, taken(tried(1, "quarantined", goods_digest="d1"))),
        HANDING,
        "no known way",
    ),
    "other goods for an attempt that has some": (
        (BOUGHT, HANDING),
        taken(tried(1, "obtained", goods_digest="d2"), state="handing_over"),
        "goods already",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_move_that_none_may_make_fails_the_commit(sql: apsw.Connection, name: str) -> None:
    """The database refuses it in words that name the rule, and keeps nothing of the commit."""
    before, case, words = VIOLATIONS[name]
    put(sql, *before)
    kept = rows(sql)
    other = taken(state="claiming", order_id="B1", takeover_id="tko_9", claim_id="clm_9")
    with pytest.raises(InvariantError, match=words):
        put(sql, other, case)
    assert rows(sql) == kept


def test_every_state_of_an_attempt_has_its_ways(sql: apsw.Connection) -> None:
    """A state that is added to the model has to be added to the database."""
    known = {
        state for way in sql.execute("SELECT before, after FROM attempt_ways") for state in way
    }
    assert {str(state) for state in AttemptState} <= known


def test_purge_of_an_order_takes_its_cases(sql: apsw.Connection) -> None:
    """Cases stay as long as their order and no longer."""
    put(sql, BOUGHT, taken(state="claiming", order_id="B1", takeover_id="tko_9"))
    sql.execute("INSERT INTO orders VALUES ('A1', 5, '{}', NULL), ('B1', NULL, '{}', NULL)")
    assert sqlite_state.purge(sql, 10) == 1
    assert rows(sql) == [("B1", 1, "claiming", None)]


WAYS = [
    taken(state="advised"),
    taken(state="escalated", escalated_reason="claim_denied"),
    DONE,
    taken(tried(1, "disproved"), tried(2, "quarantined"), state="voided", resolution="refunded"),
    taken(tried(1, "quarantined"), tried(2, "unknown"), state="unknown"),
]


@pytest.mark.parametrize("case", WAYS, ids=lambda case: case.state)
def test_rows_are_made_anew_from_log_and_orders(sql: apsw.Connection, case: TakeoverCase) -> None:
    """What was restored has the rows that the service would have written, newer than the copy's."""
    old = taken(state="advised", takeover_id="tko_0", order_id="Z1")
    body = write_order(Order("Z1", (), Facts(), case=old))
    sql.execute("INSERT INTO orders VALUES ('Z1', NULL, ?, NULL)", (body,))
    segment = segment_of("decisions", (CaseMoved(taken(state="claiming"), T0), CaseMoved(case, T0)))
    put(sql, taken(state="claiming"))
    with transaction(sql):
        sqlite_log.append(sql, segment)
        sqlite_takeovers.refill(sql)
    assert rows(sql)[0] == ("A1", 1, case.state, case.resolution)
    assert rows(sql)[1] == ("Z1", 1, "advised", None)
    assert [row[2] for row in rows(sql)[2:]] == [one.state for one in case.attempts]


def test_upgrade_of_an_older_database_fills_the_rows(tmp_path: Path) -> None:
    """The cases of a release without these tables are found in its log."""
    path = tmp_path / "monitor.db"
    path.touch()
    connection = connect_writer(path)
    upgrade(connection, path, MIGRATIONS[:3])
    with transaction(connection):
        sqlite_log.append(connection, segment_of("decisions", (CaseMoved(DONE, T0),)))
    upgrade(connection, path)
    assert rows(connection)[0] == ("A1", 1, "delivered", "delivered_fallback")
    connection.close()


class _Still:
    def now_ms(self) -> UnixMs:
        return UnixMs(T0)


async def test_loop_stops_when_a_case_moved_as_none_may(tmp_path: Path) -> None:
    """It is a bug: nothing of the commit is kept and it is not tried again."""
    store = await open_sqlite(tmp_path / "data")
    lease = await store.acquire("loop", "embedded", T0, 30_000)
    assert lease is not None
    await store.commit(lease, Checkpoint(cursor=0, cases=(DONE_FROM_THE_START,)))
    loop = Loop(store, _Still(), Engine(Settings(), RuleSet()), owner="embedded")
    loop._lease = lease
    again = msgspec.structs.replace(DONE_FROM_THE_START, resolution="refunded")
    with pytest.raises(InvariantError, match="written once"):
        await loop._commit(Checkpoint(cursor=7, cases=(again,)))
    assert (await store.load()).cursor == 0
    await store.close()


DONE_FROM_THE_START = taken(state=CaseState.VOIDED, resolution="delivered_primary")
