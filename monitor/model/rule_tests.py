"""Rule tests as data: events in, what is expected when (contract §4, `rules test`).

`monitor/config` reads them from YAML, `monitor/testing` runs them through the engine. Times count
from the start of the file; `line` and `column` say where an expectation is written.
"""

from __future__ import annotations

import msgspec

from monitor.model.rules import RuleSet


class OrderLine(msgspec.Struct, frozen=True):
    """`count` orders, one every `every_ms` from `at_ms` on.

    Each is paid, and ends (`end` is the type of that event) `delay_ms` later, None: never. With
    `is_created_first` it is created at its time and paid `pay_ms` later, None: never. With `type`
    it is one event of that type per repetition instead, for `order_id` or, without one, of the
    source. With `attempt_ms` a delivery attempt is told so long after the payment. Everything
    arrives `lag_ms` after it happened.
    """

    at_ms: int
    count: int
    every_ms: int
    source: str
    channel: str | None = None
    order_id: str | None = None
    delay_ms: int | None = None
    end: str = "delivery.delivered"
    is_created_first: bool = False
    pay_ms: int | None = 0
    type: str | None = None
    meaning: str | None = None
    promise_ms: int | None = None
    sku: str | None = None
    provider: str | None = None
    attempt_ms: int | None = None
    lag_ms: int = 0


class Measure(msgspec.Struct, frozen=True):
    """Something outside is measured: what `Gauged` of the log says."""

    at_ms: int
    kind: str
    name: str
    value: int


class Outage(msgspec.Struct, frozen=True):
    """From `at_ms` for `for_ms` nothing arrives (of `source`, None: of any).

    What was held back arrives together at the end, with its own times; or never, if `is_lost`.
    """

    at_ms: int
    for_ms: int
    is_lost: bool = False
    source: str | None = None


class Restart(msgspec.Struct, frozen=True):
    """The service stops and starts again: in order, or killed and rebuilt from its log.

    For `down_ms` it does not run: what was sent to it meanwhile arrives together when it is back,
    with its own times.
    """

    at_ms: int
    is_killed: bool = False
    down_ms: int = 0

    @property
    def back_ms(self) -> int:
        """When it runs again."""
        return self.at_ms + self.down_ms


class Reload(msgspec.Struct, frozen=True):
    """Other rules are loaded."""

    at_ms: int
    rules: RuleSet


Interruption = Restart | Reload


class Expectation(msgspec.Struct, frozen=True):
    """What must hold when. Only the fields that were written are checked.

    `when`: `at` (`from_ms` = `to_ms`), `between` (becomes true inside), `never` and `always` (at no
    and at every time of the span).

    `alert` with `state` (and `reason`, the latest finding's or the alert's, of the instances that
    `labels` select); or `firing`, exactly the alerts firing then; or `order_id` with `verdict` and
    `tier`.
    """

    when: str
    from_ms: int
    to_ms: int
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
    """How many messages must have been sent over the whole test; None: whichever.

    `event` is a glob over the types of messages; a message to many integrations counts once.
    """

    count: int
    line: int
    column: int
    alert: str | None = None
    status: str | None = None
    receiver: str | None = None
    event: str = "alert.*"


class ExpectedAction(msgspec.Struct, frozen=True):
    """How often an action must have been carried out over the whole test.

    `target` is the channel that was left (failover) or reviewed (manual_review, `*` for all
    orders), or the order (takeover); None: whichever.
    """

    type: str
    count: int
    line: int
    column: int
    target: str | None = None


class RuleTest(msgspec.Struct, frozen=True):
    """One story and what is expected of it; it lasts until `until_ms`."""

    name: str
    events: tuple[OrderLine, ...]
    expectations: tuple[Expectation, ...]
    notifications: tuple[ExpectedCount, ...]
    until_ms: int
    actions: tuple[ExpectedAction, ...] = ()
    outages: tuple[Outage, ...] = ()
    measures: tuple[Measure, ...] = ()
    interruptions: tuple[Interruption, ...] = ()


class StorySettings(msgspec.Struct, frozen=True):
    """What a file changes in the settings for its stories; None: as configured."""

    channels: tuple[str, ...] | None = None
    failover: str | None = None
    fallback: str | None = None
    fallback_order: tuple[str, ...] | None = None
    promise_ms: int | None = None
    evaluate_every_ms: int | None = None
    heartbeats: tuple[tuple[str, int], ...] = ()  # (source, every_ms)


class RuleTestFile(msgspec.Struct, frozen=True):
    """One file of tests; `rule_files` are as written, relative to the file."""

    path: str
    rule_files: tuple[str, ...]
    start_ms: int
    tests: tuple[RuleTest, ...]
    settings: StorySettings = StorySettings()
