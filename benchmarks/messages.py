"""What a rule says over a month: its condition at all instants at once, its alert step by step.

A month of evaluations one by one takes minutes, so the two signals with a closed form are worked
out for all instants by sums: `looks_of_ratio`, `looks_of_mean`. `panel_look` answers one instant
with the product's own `Panel` and `evaluate`; tests hold the two against each other. Evidence,
trimmed means, and the life of the alert are the product's in either case.

Instants are the rule's interval and every change, as in the engine, which however waits a second
between two looks: here there are a few more, never fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec
import numpy as np

from benchmarks.healthy_shop import Orders, rows_at
from monitor.core.alerting.state import step
from monitor.core.orders.sources import Source
from monitor.core.rules.findings import Finding
from monitor.core.rules.panel import Panel
from monitor.core.rules.tables import SignalTable
from monitor.core.rules.vector import evaluate
from monitor.core.signals.arrays import BoolArray, FloatArray, IntArray
from monitor.core.signals.critical import CriticalCounts
from monitor.core.signals.evidence import trimmed_mean_ms
from monitor.model.alerts import Alert, AlertState
from monitor.model.errors import InvariantError
from monitor.model.rules import Comparison, Number, Rule, Signal, Window
from monitor.model.times import HOUR_MS, SECOND_MS

MEMORY_MS = 6 * HOUR_MS  # how long judged orders stay in the engine's memory
TRUE, FALSE, UNKNOWN = range(3)
_OUTCOMES = ("true", "false", "insufficient")


class Looks(msgspec.Struct, frozen=True, eq=False):
    """A condition at all instants, each TRUE, FALSE or UNKNOWN.

    Shapes: all int64[t]; `resolve` is None if the rule has no such condition, `streak` counts the
    latest orders that were good in a row.
    """

    at_ms: IntArray
    condition: IntArray
    resolve: IntArray | None
    streak: IntArray


class Episode(msgspec.Struct, frozen=True):
    """One firing: a message at its start, and one at its end if it has ended."""

    fired_ms: int
    resolved_ms: int | None


class NoSide:
    """Rules over order rows read no tables."""

    def table(self, signal: Signal, *, is_split: bool) -> SignalTable:  # noqa: ARG002 - as asked
        """Refuse."""
        raise InvariantError(f"{signal.name} is no signal of order rows")


class _Sums:
    """Judged orders in their order, and sums over what lies before each instant."""

    def __init__(self, orders: Orders) -> None:
        order = np.argsort(orders.judged_ms, kind="stable")
        self.paid_ms, self.end_ms = orders.paid_ms[order], orders.end_ms[order]
        self.judged_ms, self.is_late = orders.judged_ms[order], orders.is_late[order]
        self.late = _running(self.is_late)
        self.wait = _running(self.end_ms - self.paid_ms)

    def parts(self, at_ms: IntArray, window: Window) -> tuple[IntArray, IntArray]:
        """First and last + 1 judged order of the window at each instant."""
        behind = np.searchsorted(self.judged_ms, at_ms, side="right")
        since = at_ms - window.span_ms
        if window.min_orders:
            nth = self.judged_ms[np.maximum(behind - window.min_orders, 0)] - 1
            nth = np.where(behind > 0, nth, at_ms)
            reach = max(window.max_ms, window.span_ms)
            since = np.maximum(np.minimum(since, nth), at_ms - reach)
        return np.searchsorted(self.judged_ms, since, side="right"), behind

    def streaks(self, at_ms: IntArray, behind: IntArray) -> IntArray:
        """Orders judged good in a row at each instant, of those that memory holds."""
        misses = np.flatnonzero(self.is_late)
        place = np.searchsorted(misses, behind, side="left") - 1
        latest = np.where(place >= 0, misses[np.maximum(place, 0)], -1) if misses.size else -1
        oldest = at_ms - MEMORY_MS
        remembered = behind - np.searchsorted(self.judged_ms, oldest, side="right")
        streaks: IntArray = np.minimum(behind - 1 - latest, remembered)
        return streaks


def instants(orders: Orders, every_ms: int) -> IntArray:
    """Every interval, every payment, delivery and breach, ascending."""
    first, last = int(orders.paid_ms[0]), int(orders.end_ms.max())
    grid = np.arange(first - first % every_ms, last + every_ms, every_ms)
    return np.unique(np.concatenate([grid, orders.paid_ms, orders.end_ms, orders.judged_ms]))


def looks_of_ratio(rule: Rule, orders: Orders) -> Looks:
    """`delayed_ratio[…] > limit` at all instants of a shop with one channel."""
    sums, at_ms = _Sums(orders), instants(orders, rule.interval_ms)
    signal, limit = _asked(rule)
    first, behind = sums.parts(at_ms, signal.window or Window())
    k, n = sums.late[behind] - sums.late[first], behind - first
    share = k / np.maximum(n, 1)
    is_proven = CriticalCounts().is_reached(k, n, limit, rule.confidence)
    is_known = n >= max(rule.min_count, 1)
    resolve = None
    if isinstance(rule.resolve_when, Comparison) and isinstance(rule.resolve_when.right, Number):
        resolve = _stated(share < rule.resolve_when.right.value, is_known)
    condition = _stated((share > limit) & is_proven, is_known)
    return Looks(at_ms, condition, resolve, sums.streaks(at_ms, behind))


def looks_of_mean(rule: Rule, orders: Orders) -> Looks:
    """`mean_delay[…] > limit` at all instants; orders that still wait count with their age."""
    sums, at_ms = _Sums(orders), instants(orders, rule.interval_ms)
    signal, limit_s = _asked(rule)
    limit_ms = limit_s * SECOND_MS
    first, behind = sums.parts(at_ms, signal.window or Window())
    total, n = sums.wait[behind] - sums.wait[first], behind - first
    for place in np.flatnonzero(sums.is_late).tolist():
        begin, end = np.searchsorted(at_ms, [sums.judged_ms[place], sums.end_ms[place]])
        waits = slice(int(begin), int(end))
        inside = first[waits] <= place
        total[waits] -= np.where(inside, sums.end_ms[place] - at_ms[waits], 0)
    over = (total > limit_ms * n) & (n >= max(rule.min_count, 1))
    for index in np.flatnonzero(over).tolist():
        part = slice(int(first[index]), int(behind[index]))
        until = np.minimum(sums.end_ms[part], at_ms[index])
        trimmed = trimmed_mean_ms(until - sums.paid_ms[part])
        over[index] = trimmed is not None and trimmed > limit_ms
    return Looks(at_ms, _stated(over, n >= max(rule.min_count, 1)), None, np.zeros_like(at_ms))


def panel_look(rule: Rule, orders: Orders, now_ms: int) -> tuple[Finding, Finding | None, int]:
    """One instant as the engine sees it: condition, `resolve_when`, good orders in a row."""
    panel = Panel(rows_at(orders, now_ms), NoSide(), now_ms)
    domain = panel.domain(rule.by)
    if not len(domain):
        return Finding("no_data", "no_data"), None, 0
    judge = partial(evaluate, panel=panel, domain=domain,
                    confidence=rule.confidence, min_count=rule.min_count)  # fmt: skip
    found = judge(rule.expr).at(0)
    resolve = None
    if rule.resolve_when is not None:
        resolve = judge(rule.resolve_when).at(0)
    streak = int(panel.good_streaks(domain, [_asked(rule)[0]])[0])
    return found, resolve, streak


def panel_episodes(rule: Rule, orders: Orders, suspicious: IntArray) -> Iterator[Episode]:
    """Firings of any rule over rows, looked at one by one where something may be wrong.

    Shapes: `suspicious` int64[m], ascending instants; while the alert is up all instants of the
    rule's interval are looked at.
    """
    alert, place = None, 0
    while place < len(suspicious):
        now_ms = int(suspicious[place])
        while True:
            found, resolve, streak = panel_look(rule, orders, now_ms)
            moved = step(alert, found, resolve, rule, {}, now_ms, good_streak=streak)
            ended = _ended(alert, moved, now_ms)
            alert = moved
            if ended is not None:
                yield ended
            if moved.state == AlertState.INACTIVE or now_ms > orders.paid_ms[-1]:
                break
            now_ms += rule.interval_ms
        place = max(place + 1, int(np.searchsorted(suspicious, now_ms, side="right")))
    if alert is not None and alert.state == AlertState.FIRING and alert.firing_ms is not None:
        yield Episode(alert.firing_ms, None)


def episodes(rule: Rule, looks: Looks) -> Iterator[Episode]:
    """Let the alert live through all instants; those where nothing can move are passed over."""
    starts = np.flatnonzero(looks.condition == TRUE)
    alert, index, place = None, 0, 0
    while place < len(starts):
        index = max(index, int(starts[place]))
        while index < len(looks.at_ms):
            now_ms = int(looks.at_ms[index])
            resolve = None if looks.resolve is None else _finding(looks.resolve[index])
            moved = step(
                alert, _finding(looks.condition[index]), resolve, rule, {}, now_ms,
                good_streak=int(looks.streak[index]),
            )  # fmt: skip
            ended = _ended(alert, moved, now_ms)
            alert = moved
            index += 1
            if ended is not None:
                yield ended
            if moved.state == AlertState.INACTIVE:
                break
        place = int(np.searchsorted(starts, index, side="left"))
    if alert is not None and alert.state == AlertState.FIRING and alert.firing_ms is not None:
        yield Episode(alert.firing_ms, None)


def with_confidence(rule: Rule, confidence: float) -> Rule:
    """The same rule asking for more, or less, evidence."""
    return msgspec.structs.replace(rule, confidence=confidence)


def late_within(orders: Orders, before_ms: int, after_ms: int, every_ms: int) -> IntArray:
    """Instants around slow orders: from an age on until some time after their end."""
    slow = orders.end_ms - orders.paid_ms > before_ms
    begin = orders.paid_ms[slow] + before_ms
    end = orders.end_ms[slow] + after_ms
    grid = np.arange(int(orders.paid_ms[0]) // every_ms, int(end.max(initial=0)) // every_ms + 2)
    edges = np.zeros(len(grid) + 1, np.int64)
    np.add.at(edges, np.searchsorted(grid * every_ms, begin), 1)
    np.add.at(edges, np.searchsorted(grid * every_ms, end), -1)
    return np.asarray(grid[np.cumsum(edges)[:-1] > 0] * every_ms)


def _ended(before: Alert | None, after: Alert, now_ms: int) -> Episode | None:
    was_firing = before is not None and before.state == AlertState.FIRING
    if not was_firing or after.state != AlertState.INACTIVE or after.firing_ms is None:
        return None
    return Episode(after.firing_ms, now_ms)


def _asked(rule: Rule) -> tuple[Signal, float]:
    """The signal and the limit of a condition `signal > number`."""
    node = rule.expr
    if (
        isinstance(node, Comparison)
        and isinstance(node.left, Signal)
        and isinstance(node.right, Number)
    ):
        return node.left, node.right.value
    raise InvariantError(f"{rule.alert} is no comparison of a signal with a number")


def _stated(holds: BoolArray, is_known: BoolArray) -> IntArray:
    return np.where(is_known, np.where(holds, TRUE, FALSE), UNKNOWN).astype(np.int64)


def _finding(outcome: int) -> Finding:
    return Finding(_OUTCOMES[int(outcome)], "simulated")


def _running(values: FloatArray | IntArray | BoolArray) -> IntArray:
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


def silent_spells(orders: Orders) -> int:
    """How often a source that tells of payments and deliveries at once is called silent."""
    source = Source("shop", int(orders.paid_ms[0]), int(orders.paid_ms[0]))
    times = np.concatenate([orders.paid_ms, orders.end_ms])
    order = np.argsort(times, kind="stable")
    is_new = order < len(orders.paid_ms)
    spells = 0
    for at_ms, is_order in zip(times[order].tolist(), is_new.tolist(), strict=True):
        # Its limit hardly moves in between, so it was silent if it is so right before the news.
        spells += source.is_quiet_too_long(at_ms - 1)
        source.hear(at_ms)
        if is_order:
            source.count_order(at_ms)
    return spells
