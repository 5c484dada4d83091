"""The self-audit: what must be true of takeovers, goods and switches, looked up in the files.

Every night, by `doctor`, and after each round of the crash harness. It reads one moment of
`monitor.db` and a later one of `goods.db` on connections that cannot write; what is checked holds
whatever happened between the two, because goods are durable before an attempt says so and never go
back. `ELSEWHERE` names the rules that files alone cannot show, and what shows them.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import msgspec

from monitor.adapters.goods_file import DATABASE_NAME as GOODS_NAME
from monitor.adapters.storage.directory import DATABASE_NAME
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_schema import connect_reader
from monitor.adapters.storage.sqlite_takeovers import moved_cases
from monitor.core.engine import Engine
from monitor.model.invariants import Violation
from monitor.model.records import SwitchDecided, record_decoder
from monitor.model.takeovers import TakeoverCase
from monitor.model.times import DAY_MS, MINUTE_MS

FOUND_MAX = 100
OVERDUE_MS = 5 * MINUTE_MS  # a service that was restarted, or a slow machine
RESOLVE_MS = 15 * MINUTE_MS  # `RESOLVE_WITHIN_MS` of the core, beyond settle
CLAIM_MS = 10 * MINUTE_MS  # a claim may be granted so long after its case was opened
OPEN = "('reserved', 'submitting', 'accepted', 'unknown', 'obtained')"
ACTIVE = "resolution IS NULL AND state NOT IN ('advised', 'escalated')"


class Context(msgspec.Struct, frozen=True):
    """What a check may look at; `has_goods` is False while there is no `goods.db`."""

    sql: apsw.Connection
    now_ms: int
    has_goods: bool
    value_per_day_minor: int | None
    cases: dict[str, TakeoverCase]  # newest in the log, by takeover
    resolutions: dict[str, set[str]]  # in the log, by takeover
    switches: list[SwitchDecided]


class Invariant(msgspec.Struct, frozen=True):
    """A rule; `look` yields what breaks it."""

    key: str
    claim: str
    look: Callable[[Context], Iterator[str]]
    needs_goods: bool = False


def audit(
    data_dir: Path, now_ms: int, value_per_day_minor: int | None = None
) -> tuple[Violation, ...]:
    """Look at a data directory, whether a service uses it or not.

    `value_per_day_minor` is the limit as it is now; None leaves I10 out. Raises: StorageError.
    """
    path, goods = data_dir / DATABASE_NAME, data_dir / GOODS_NAME
    if not path.exists() or not path.stat().st_size:
        return ()
    with storage_errors(path), closing(connect_reader(path)) as sql:
        if sql.execute("SELECT 1 FROM sqlite_schema WHERE name = 'takeovers'").get is None:
            return ()  # of an older release; its first start makes the rows
        has_goods = goods.exists() and goods.stat().st_size > 0
        if has_goods:
            sql.execute("ATTACH ? AS vault", (str(goods),))
            has_goods = (
                sql.execute("SELECT 1 FROM vault.sqlite_schema WHERE name = 'given'").get == 1
            )
        sql.execute("BEGIN")
        sql.execute("SELECT 1 FROM main.meta").fetchall()  # this moment of monitor.db is kept
        context = _context(sql, now_ms, value_per_day_minor, has_goods=has_goods)
        return tuple(_violations(context))


async def look_through(data_dir: Path, engine: Engine, now_ms: int) -> tuple[Violation, ...]:
    """`audit` beside the work of a service, under the limits that its engine has now."""
    limit = engine.settings.fallback.max_value_per_day_minor
    return await asyncio.to_thread(audit, data_dir, now_ms, limit)


def _violations(context: Context) -> Iterator[Violation]:
    for rule in INVARIANTS:
        if rule.needs_goods and not context.has_goods:
            continue
        found = tuple(item for item, _ in zip(rule.look(context), range(FOUND_MAX), strict=False))
        if found:
            yield Violation(rule.key, rule.claim, found)


def _context(
    sql: apsw.Connection, now_ms: int, value_per_day_minor: int | None, *, has_goods: bool
) -> Context:
    cases: dict[str, TakeoverCase] = {}
    resolutions: dict[str, set[str]] = {}
    switches: list[SwitchDecided] = []
    for (body,) in sql.execute(
        "SELECT body FROM segments WHERE kind = 'decisions' ORDER BY position"
    ):
        for case in moved_cases(body):
            cases[case.takeover_id] = case
            if case.resolution is not None:
                resolutions.setdefault(case.takeover_id, set()).add(case.resolution)
        if b'"t":"switch"' in body:
            records = (record_decoder.decode(line) for line in body.splitlines())
            switches += [one for one in records if isinstance(one, SwitchDecided)]
    return Context(sql, now_ms, has_goods, value_per_day_minor, cases, resolutions, switches)


def _rows(query: str) -> Callable[[Context], Iterator[str]]:
    """A check that is a query: its first column names what breaks the rule.

    `$open` stands for the states of attempts that may deliver, `$active` for cases that act.
    """
    query = query.replace("$open", OPEN).replace("$active", ACTIVE)

    def look(context: Context) -> Iterator[str]:
        limits = {"now": context.now_ms, "overdue": OVERDUE_MS, "resolve": RESOLVE_MS}
        for row in context.sql.execute(query, limits):
            yield str(row[0])

    return look


def _value_of_a_day(context: Context) -> Iterator[str]:
    limit = context.value_per_day_minor
    if limit is None:
        return
    bought: list[tuple[int, int, str]] = context.sql.execute(
        "SELECT opened_ms, ifnull(amount_minor, 0), order_id FROM takeovers"
        " WHERE opened_ms > ? AND EXISTS (SELECT 1 FROM attempts"
        " WHERE attempts.takeover_id = takeovers.takeover_id) ORDER BY opened_ms",
        (context.now_ms - DAY_MS,),
    ).fetchall()  # type: ignore[assignment]  # the columns' types are the schema's
    times = [row[0] for row in bought]
    sums = [0]
    for row in bought:
        sums.append(sums[-1] + row[1])
    for at, (opened_ms, _, order_id) in enumerate(bought, start=1):
        if sums[at] - sums[bisect_right(times, opened_ms - DAY_MS + CLAIM_MS)] > limit:
            yield order_id


def _log_and_rows_differ(context: Context) -> Iterator[str]:
    missing = context.sql.execute(
        "SELECT ifnull(max(position) - min(position) + 1, 0) - count(*) FROM segments"
    ).get
    if missing:
        yield f"{missing} log positions"
    rows = context.sql.execute("SELECT takeover_id, state, resolution, changed_ms FROM takeovers")
    held = {row[0]: row[1:] for row in rows}
    for takeover_id, case in context.cases.items():
        known = held.get(takeover_id)
        if known is not None and known != (case.state, case.resolution, case.changed_ms):
            yield takeover_id


def _second_resolutions(context: Context) -> Iterator[str]:
    for takeover_id, found in context.resolutions.items():
        if len(found) > 1:
            yield takeover_id
    yield from _rows("""SELECT takeover_id FROM takeovers
        WHERE state IN ('delivered', 'voided') AND resolution IS NULL""")(context)


def _ordered(context: Context) -> list[SwitchDecided]:
    """Decisions that took an epoch."""
    return [one for one in context.switches if one.mode in ("enforce", "manual")]


def _epochs_that_do_not_rise(context: Context) -> Iterator[str]:
    newest = 0
    for switch in _ordered(context):
        if switch.epoch < newest:
            yield f"epoch {switch.epoch}"
        newest = max(newest, switch.epoch)


def _epochs_with_two_meanings(context: Context) -> Iterator[str]:
    meant: dict[int, dict[str, int]] = {}
    for switch in _ordered(context):
        if meant.setdefault(switch.epoch, switch.weights) != switch.weights:
            yield f"epoch {switch.epoch}"


def _routes_to_nowhere(context: Context) -> Iterator[str]:
    for switch in _ordered(context):
        if switch.mode != "manual" and sum(switch.weights.values()) <= 0:
            yield f"epoch {switch.epoch}"


INVARIANTS = (
    Invariant(
        "I1",
        "goods belong to one order",
        _rows("""SELECT group_concat(DISTINCT order_id) FROM attempts
            JOIN takeovers USING (takeover_id)
            WHERE attempts.state = 'obtained' AND goods_digest IS NOT NULL
            AND ref NOT IN (SELECT attempt_ref FROM vault.shared_use)
            GROUP BY goods_digest HAVING count(DISTINCT order_id) > 1"""),
        needs_goods=True,
    ),
    Invariant(
        "I2",
        "a delivered order got exactly its quantity",
        _rows("""SELECT order_id FROM takeovers WHERE resolution = 'delivered_fallback' AND quantity
            IS NOT (SELECT sum(goods_count) FROM attempts WHERE state = 'obtained'
                AND attempts.takeover_id = takeovers.takeover_id)"""),
    ),
    Invariant(
        "I3",
        "a takeover has one open attempt at most",
        _rows("""SELECT takeover_id FROM attempts WHERE state IN $open
            GROUP BY takeover_id HAVING count(*) > 1"""),
    ),
    Invariant(
        "I4",
        "no second channel is asked while an earlier attempt may still deliver",
        _rows("""SELECT earlier.ref FROM attempts AS earlier JOIN attempts AS later
            ON later.takeover_id = earlier.takeover_id AND later.number > earlier.number
            WHERE earlier.state IN $open"""),
    ),
    Invariant(
        "I5",
        "what is to be bought has its intent on disk",
        _rows("""SELECT key FROM outbox WHERE key GLOB 'submit_*'
            AND substr(key, 8) NOT IN (SELECT ref FROM attempts)"""),
    ),
    Invariant(
        "I6",
        "an unclear attempt is resolved in time or given to a person",
        _rows("""SELECT ref FROM attempts WHERE state IN ('submitting', 'accepted', 'unknown')
            AND takeover_id IN (SELECT takeover_id FROM takeovers WHERE $active)
            AND :now > :overdue + settle_until_ms
                + max(:resolve, settle_until_ms - submitted_ms + 60000)"""),
    ),
    Invariant(
        "I7",
        "no order in our hands is forgotten: closed, a person's, or looked at in time",
        _rows("""SELECT order_id FROM takeovers WHERE $active
            AND (wake_ms IS NULL OR wake_ms + :overdue < :now)"""),
    ),
    Invariant(
        "I8",
        "nothing acts under an old fence",
        _rows("""SELECT takeover_id FROM takeovers AS old WHERE $active AND EXISTS
                (SELECT 1 FROM takeovers WHERE order_id = old.order_id AND fence > old.fence)
            UNION SELECT ref FROM attempts JOIN takeovers USING (takeover_id)
                WHERE attempts.fence > takeovers.fence"""),
    ),
    Invariant("I9", "a resolution is written once, and every end has one", _second_resolutions),
    Invariant("I10", "what was bought in a day is within the limit", _value_of_a_day),
    Invariant(
        "I11",
        "every unit ever imported is there",
        _rows("SELECT (max(id) - count(*)) || ' units' FROM vault.unit HAVING max(id) <> count(*)"),
        needs_goods=True,
    ),
    Invariant(
        "I12", "the rows are what the log says, and the log is unbroken", _log_and_rows_differ
    ),
    Invariant(
        "I14",
        "what is handed over is what the attempt obtained",
        _rows("""SELECT ref FROM attempts LEFT JOIN vault.goods ON attempt_ref = ref
            WHERE state = 'obtained' AND goods_digest IS NOT NULL AND digest IS NOT goods_digest"""),
        needs_goods=True,
    ),
    Invariant(
        "I15",
        "goods that were given to an order are not free again",
        _rows("""SELECT 'unit ' || id FROM vault.unit WHERE state = 'free'
            AND (attempt_ref IS NOT NULL OR digest IN (SELECT digest FROM vault.goods)
                AND id NOT IN (SELECT unit_id FROM vault.shared_use))"""),
        needs_goods=True,
    ),
    Invariant("I16", "switches take effect in the order of their epochs", _epochs_that_do_not_rise),
    Invariant("I17", "an epoch means one set of weights", _epochs_with_two_meanings),
    Invariant("I18", "only a person may leave a scope without a channel", _routes_to_nowhere),
    Invariant(
        "I20",
        "advice buys nothing and hands nothing over",
        _rows("""SELECT takeover_id FROM takeovers WHERE state = 'advised' AND (hand_overs > 0
            OR EXISTS (SELECT 1 FROM attempts WHERE takeover_id = takeovers.takeover_id))"""),
    ),
    Invariant(
        "I22",
        "no other channel is asked before two answers after the settle time said not found",
        _rows("""SELECT later.ref FROM attempts AS earlier JOIN attempts AS later
            ON later.takeover_id = earlier.takeover_id AND later.number = earlier.number + 1
            WHERE earlier.reason = 'not_found' AND
                (earlier.not_found < 2 OR later.submitted_ms < earlier.settle_until_ms)"""),
    ),
)

ELSEWHERE = {
    "I13": "folding a whole log anew is `delivery-monitor fsck`",
    "I19": "compensations are rows of their own with a unique key per order, level and action",
    "I21": "a restart with many open cases is `benchmarks/bench_restart.py` and the crash harness",
    "I23": "an apology instead of goods is recognised when the event comes in",
    "I24": "a key that the shop sold twice is recognised when the event comes in",
}
