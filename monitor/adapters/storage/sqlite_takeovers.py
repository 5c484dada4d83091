"""Takeover cases and their attempts as rows whose rules the database itself keeps.

The case that acts is part of its order, in memory and in the log. These rows are written in the
same transaction as the decision that moves a case, so what breaks a rule breaks the commit: nothing
of it is kept, no effect of it leaves, and the service stops (docs/decisions/0027).

    one open case per order             takeovers_open        unique index
    one case per order and fence        takeovers_by_order    unique index
    no case under an old fence          takeovers_fence_*     trigger
    a resolution is written once        takeovers_resolution  trigger
    a closed case stays closed          takeovers_closed      trigger
    one open attempt per case           attempts_open         unique index
    an attempt begins with its intent,
    of a case that is open, under its
    fence, after all before it were
    disproved                           attempts_begin        trigger
    attempts move along known ways      attempts_way          trigger, table `attempt_ways`
    two keys never for one attempt      attempts_goods        trigger
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw
import msgspec

from monitor.adapters.storage import sqlite_log
from monitor.core.orders.stored import read_order
from monitor.model.errors import InvariantError
from monitor.model.records import CaseMoved, record_decoder
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase

# Of the migration in `sqlite_schema.py`; never edited once released.
SCHEMA = """
    CREATE TABLE takeovers (
        takeover_id TEXT PRIMARY KEY,
        order_id TEXT NOT NULL,
        fence INTEGER NOT NULL CHECK (fence > 0),
        claim_id TEXT NOT NULL,
        state TEXT NOT NULL,
        opened_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        wake_ms INTEGER,                            -- when the machine looks again by itself
        quantity INTEGER NOT NULL,
        amount_minor INTEGER,
        hand_overs INTEGER NOT NULL,
        escalated_reason TEXT,
        resolution TEXT,
        CHECK (state NOT IN ('delivered', 'voided') OR resolution IS NOT NULL)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX takeovers_by_order ON takeovers (order_id, fence);
    CREATE UNIQUE INDEX takeovers_open ON takeovers (order_id)
        WHERE resolution IS NULL AND state <> 'advised';

    CREATE TRIGGER takeovers_fence_of_new AFTER INSERT ON takeovers
        WHEN EXISTS (SELECT 1 FROM takeovers WHERE order_id = NEW.order_id AND fence > NEW.fence)
        BEGIN SELECT RAISE(ABORT, 'a case is opened under an old fence'); END;
    CREATE TRIGGER takeovers_fence_of_known AFTER UPDATE OF fence ON takeovers
        WHEN NEW.fence < OLD.fence
        BEGIN SELECT RAISE(ABORT, 'a case is written with an old fence'); END;
    CREATE TRIGGER takeovers_resolution AFTER UPDATE OF resolution ON takeovers
        WHEN OLD.resolution IS NOT NULL AND NEW.resolution IS NOT OLD.resolution
        BEGIN SELECT RAISE(ABORT, 'a resolution is written once'); END;
    CREATE TRIGGER takeovers_closed AFTER UPDATE OF state ON takeovers
        WHEN OLD.state IN ('delivered', 'voided') AND NEW.state <> OLD.state
        BEGIN SELECT RAISE(ABORT, 'a closed case is opened again'); END;

    CREATE TABLE attempts (
        takeover_id TEXT NOT NULL,
        number INTEGER NOT NULL CHECK (number > 0),
        ref TEXT NOT NULL,
        channel TEXT NOT NULL,
        fence INTEGER NOT NULL,
        state TEXT NOT NULL,
        submitted_ms INTEGER NOT NULL,
        settle_until_ms INTEGER NOT NULL,
        queries INTEGER NOT NULL,
        not_found INTEGER NOT NULL,
        reason TEXT,
        supplier_ref TEXT,
        goods_count INTEGER NOT NULL,
        goods_digest TEXT,                          -- keyed: says nothing of the goods
        cost_minor INTEGER,
        max_cost_minor INTEGER,
        PRIMARY KEY (takeover_id, number)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX attempts_open ON attempts (takeover_id)
        WHERE state IN ('reserved', 'submitting', 'accepted', 'unknown', 'obtained');

    CREATE TABLE attempt_ways (
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        PRIMARY KEY (before, after)
    ) WITHOUT ROWID;
    INSERT INTO attempt_ways VALUES
        ('reserved', 'submitting'), ('reserved', 'disproved'),
        ('submitting', 'accepted'), ('submitting', 'unknown'), ('submitting', 'disproved'),
        ('submitting', 'obtained'), ('submitting', 'quarantined'),
        ('accepted', 'unknown'), ('accepted', 'disproved'), ('accepted', 'obtained'),
        ('accepted', 'quarantined'),
        ('unknown', 'accepted'), ('unknown', 'disproved'), ('unknown', 'obtained'),
        ('unknown', 'quarantined'),
        ('disproved', 'quarantined'),
        ('obtained', 'quarantined');

    CREATE TRIGGER attempts_begin AFTER INSERT ON attempts
        WHEN NEW.state NOT IN ('reserved', 'submitting')
            OR NOT EXISTS (SELECT 1 FROM takeovers WHERE takeover_id = NEW.takeover_id
                AND fence = NEW.fence AND resolution IS NULL)
            OR EXISTS (SELECT 1 FROM attempts WHERE takeover_id = NEW.takeover_id
                AND number <> NEW.number AND state <> 'disproved')
        BEGIN SELECT RAISE(ABORT, 'an attempt begins where none may'); END;
    CREATE TRIGGER attempts_fence AFTER UPDATE OF fence ON attempts
        WHEN NEW.fence < OLD.fence
        BEGIN SELECT RAISE(ABORT, 'an attempt is written with an old fence'); END;
    CREATE TRIGGER attempts_way AFTER UPDATE OF state ON attempts
        WHEN NEW.state <> OLD.state AND NOT EXISTS
            (SELECT 1 FROM attempt_ways WHERE before = OLD.state AND after = NEW.state)
        BEGIN SELECT RAISE(ABORT, 'an attempt moves along no known way'); END;
    CREATE TRIGGER attempts_goods AFTER UPDATE OF goods_digest ON attempts
        WHEN OLD.goods_digest IS NOT NULL AND NEW.goods_digest IS NOT OLD.goods_digest
        BEGIN SELECT RAISE(ABORT, 'an attempt has goods already'); END;

    -- A case is forgotten with its order.
    CREATE TRIGGER orders_take_their_cases AFTER DELETE ON orders BEGIN
        DELETE FROM attempts WHERE takeover_id IN
            (SELECT takeover_id FROM takeovers WHERE order_id = OLD.order_id);
        DELETE FROM takeovers WHERE order_id = OLD.order_id;
    END;
"""

# The last trigger again: it goes with a table of orders that is replaced.
FORGETTING = """
    CREATE TRIGGER orders_take_their_cases AFTER DELETE ON orders BEGIN
        DELETE FROM attempts WHERE takeover_id IN
            (SELECT takeover_id FROM takeovers WHERE order_id = OLD.order_id);
        DELETE FROM takeovers WHERE order_id = OLD.order_id;
    END;
"""

_CASE = """
    INSERT INTO takeovers (takeover_id, order_id, fence, claim_id, state, opened_ms, changed_ms,
        wake_ms, quantity, amount_minor, hand_overs, escalated_reason, resolution)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (takeover_id) DO UPDATE SET
        fence = excluded.fence, claim_id = excluded.claim_id, state = excluded.state,
        changed_ms = excluded.changed_ms, wake_ms = excluded.wake_ms, quantity = excluded.quantity,
        amount_minor = excluded.amount_minor, hand_overs = excluded.hand_overs,
        escalated_reason = excluded.escalated_reason, resolution = excluded.resolution
"""
_ATTEMPT = """
    INSERT INTO attempts (takeover_id, number, ref, channel, fence, state, submitted_ms,
        settle_until_ms, queries, not_found, reason, supplier_ref, goods_count, goods_digest,
        cost_minor, max_cost_minor)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (takeover_id, number) DO UPDATE SET
        fence = excluded.fence, state = excluded.state, submitted_ms = excluded.submitted_ms,
        settle_until_ms = excluded.settle_until_ms, queries = excluded.queries,
        not_found = excluded.not_found, reason = excluded.reason,
        supplier_ref = excluded.supplier_ref, goods_count = excluded.goods_count,
        goods_digest = excluded.goods_digest, cost_minor = excluded.cost_minor,
        max_cost_minor = excluded.max_cost_minor
"""


def put(connection: apsw.Connection, cases: Sequence[TakeoverCase]) -> None:
    """Write cases as they are now, in the order in which they moved, inside a transaction.

    Raises: InvariantError when a case moved as none may; then the transaction must not commit.
    """
    if len(cases) > 1 and len({case.takeover_id for case in cases}) == len(cases):
        try:
            _put_all(connection, cases)  # nearly always: no case moved twice
        except apsw.ConstraintError:
            pass  # below it is found out which one it was
        else:
            return
    for case in cases:
        try:
            _put_all(connection, (case,))
        except apsw.ConstraintError as error:
            raise InvariantError(
                f"takeover {case.takeover_id} of order {case.order_id}: {error}",
                hint="nothing of this was stored or sent; report it with the output of fsck",
            ) from error


def _put_all(connection: apsw.Connection, cases: Sequence[TakeoverCase]) -> None:
    connection.executemany(_CASE, map(_row, cases))
    attempts = [_attempt(case, one) for case in cases for one in case.attempts]
    if attempts:
        connection.executemany(_ATTEMPT, attempts)


def refill(connection: apsw.Connection) -> None:
    """Write the rows anew from what orders and log say, inside a transaction; for what was restored.

    A database of an older release has no such rows; its upgrade makes them. Raises: InvariantError
    when what they say cannot have been decided.
    """
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'takeovers'").get is None:
        return
    newest = {case.takeover_id: case for case in _of_orders(connection)}
    newest |= {case.takeover_id: case for case in _of_log(connection)}
    named = [(takeover_id,) for takeover_id in newest]
    connection.executemany("DELETE FROM attempts WHERE takeover_id = ?", named)
    connection.executemany("DELETE FROM takeovers WHERE takeover_id = ?", named)
    for case in sorted(newest.values(), key=lambda one: (one.order_id, one.fence)):
        put(connection, [*_way_to(case), case])


def _way_to(case: TakeoverCase) -> Iterator[TakeoverCase]:
    """How the case may have come to where it is: one attempt after the other."""
    state = CaseState.ADVISED if case.state == CaseState.ADVISED else CaseState.CLAIMING
    passed: list[Attempt] = []
    for attempt in case.attempts:
        begun = msgspec.structs.replace(attempt, state=AttemptState.SUBMITTING)
        yield msgspec.structs.replace(case, state=state, resolution=None, attempts=(*passed, begun))
        over = AttemptState.DISPROVED if attempt is not case.attempts[-1] else attempt.state
        passed.append(msgspec.structs.replace(attempt, state=over))
        yield msgspec.structs.replace(case, state=state, resolution=None, attempts=tuple(passed))


def _of_orders(connection: apsw.Connection) -> Iterator[TakeoverCase]:
    named = "SELECT CAST(body AS BLOB) FROM orders WHERE instr(CAST(body AS BLOB), x'63617365')"
    for (body,) in connection.execute(named):  # somewhere in it stands "case"
        case = read_order(body).case
        if case is not None:
            yield case


def _of_log(connection: apsw.Connection) -> Iterator[TakeoverCase]:
    position = 0
    while found := sqlite_log.read(connection, position, 8_000_000):
        position = found[-1].position
        for stored in found:
            if stored.segment.kind == "decisions":
                yield from moved_cases(stored.segment.body)


def moved_cases(body: bytes) -> Iterator[TakeoverCase]:
    """The cases that a segment of decisions moved, in order."""
    if b'"t":"case"' not in body:
        return
    for line in body.splitlines():
        if b'"t":"case"' in line:
            record = record_decoder.decode(line)
            if isinstance(record, CaseMoved):
                yield record.case


def _row(case: TakeoverCase) -> tuple[object, ...]:
    return (
        case.takeover_id,
        case.order_id,
        case.fence,
        case.claim_id,
        case.state,
        case.opened_ms,
        case.changed_ms,
        case.wake_ms,
        case.quantity,
        case.amount_minor,
        case.hand_overs,
        case.escalated_reason,
        case.resolution,
    )


def _attempt(case: TakeoverCase, attempt: Attempt) -> tuple[object, ...]:
    return (
        case.takeover_id,
        attempt.number,
        attempt.ref,
        attempt.channel,
        case.fence,
        attempt.state,
        attempt.submitted_ms,
        attempt.settle_until_ms,
        attempt.queries,
        attempt.not_found,
        attempt.reason,
        attempt.supplier_ref,
        attempt.goods_count,
        attempt.goods_digest,
        attempt.cost_minor,
        attempt.max_cost_minor,
    )
