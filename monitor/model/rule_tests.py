"""Rule tests as data: events in, what is expected when (contract §4, `rules test`).

`monitor/config` reads them from YAML, `monitor/testing` runs them through the engine. Times count
from the start of the file; `line` and `column` say where an expectation is written.
"""

from __future__ import annotations

import msgspec


class OrderLine(msgspec.Struct, frozen=True):
    """`count` orders, one every `every_ms` from `at_ms` on.

    Each is paid, and delivered after `delay_ms` (None: never). With `type` it is one event of that
    type per repetition instead, for `order_id` or, without one, of the source.
    """

    at_ms: int
    count: int
    every_ms: int
    source: str
    channel: str | None = None
    order_id: str | None = None
    delay_ms: int | None = None
    type: str | None = None
    meaning: str | None = None
    promise_ms: int | None = None
    sku: str | None = None


class Expectation(msgspec.Struct, frozen=True):
    """What must hold at a time. Only the fields that were written are checked.

    `alert` with `state` (and `reason`, the latest finding's, of every instance that `labels`
    select); or `firing`, exactly the alerts firing then; or `order_id` with `verdict` and `tier`.
    """

    at_ms: int
    line: int
    column: int
    alert: str | None = None
    state: str | None = None
    reason: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    firing: tuple[str, ...] | None = None
    order_id: str | None = None
    verdict: str | None = None
    tier: int | None = None


class ExpectedCount(msgspec.Struct, frozen=True):
    """How many messages of a status an alert must have sent over the whole test; None: of any."""

    count: int
    line: int
    column: int
    alert: str | None = None
    status: str | None = None


class RuleTest(msgspec.Struct, frozen=True):
    """One story and what is expected of it; it lasts until `until_ms`."""

    name: str
    events: tuple[OrderLine, ...]
    expectations: tuple[Expectation, ...]
    notifications: tuple[ExpectedCount, ...]
    until_ms: int


class RuleTestFile(msgspec.Struct, frozen=True):
    """One file of tests; `rule_files` are as written, relative to the file."""

    path: str
    rule_files: tuple[str, ...]
    start_ms: int
    tests: tuple[RuleTest, ...]
