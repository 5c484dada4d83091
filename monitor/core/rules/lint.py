"""What is wrong with a rule that is correct: it can never fire, nobody owns it, it acts on a whim.

    never-can-fire             constants, contradictions, too short a window, an unknown channel
    always-true                the condition holds whatever happens
    no-owner, no-runbook       a critical rule pages somebody; who, and what are they to do?
    for-shorter-than-interval  `for` is over before the rule is looked at again
    resolve-above-fire         resolve_when can hold while expr does: no gap between the two
    action-without-guard       a switch without evidence and without `for`
    threshold-inside-noise     the limit lies within what healthy days do (`noise.py`)
    window-shorter-than-one-expected-order                               (`noise.py`)
    like-a-regular-expression  `=~` takes globs, and this one looks like something else (`lint_text.py`)
    name-without-value         a text names a label the alert does not have (`lint_text.py`)
    no-tests                   no rule test names the rule

Each check is one function from a rule to findings; `CHECKS` is the table of those that need
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import msgspec

from monitor.core.rules.lint_text import Lint, lint_text
from monitor.core.rules.matching import matches
from monitor.core.rules.parse import signals_in
from monitor.core.rules.possible import (
    alternatives,
    bounds_of,
    chance_of,
    contradiction,
    fewest_that_prove,
    why_impossible,
    why_unprovable,
)
from monitor.model.rules import (
    RATIOS,
    Arithmetic,
    Comparison,
    Logical,
    Negation,
    Node,
    Number,
    Rule,
    Signal,
)
from monitor.model.spelling import did_you_mean
from monitor.model.times import format_duration

CODES = {
    "never-can-fire": "the condition can never hold",
    "always-true": "the condition holds whatever happens",
    "no-owner": "a critical rule names no owner",
    "no-runbook": "a critical rule names no runbook_url",
    "for-shorter-than-interval": "`for` is over before the rule is looked at again",
    "resolve-above-fire": "resolve_when can hold while expr does",
    "action-without-guard": "a switch that neither evidence nor `for` holds back",
    "threshold-inside-noise": "the limit lies within what healthy days do",
    "window-shorter-than-one-expected-order": "the window is empty most of the time",
    "like-a-regular-expression": "=~ takes globs, and this one looks like something else",
    "name-without-value": "a text names a label the alert does not have",
    "no-tests": "no rule test names the rule",
}
# Signals that bring evidence of their own, beside ratios and percentiles.
_PROVEN = ("cusum_ratio", "arrival_ratio", "paid_ratio", "burn_rate")


class Surroundings(msgspec.Struct, frozen=True):
    """What is known beside the rule; None: not known, nothing is claimed.

    `channels` of the configuration; `tested` are the alerts that rule tests name.
    """

    channels: tuple[str, ...] | None = None
    tested: Collection[str] | None = None


def lint(rule: Rule, known: Surroundings) -> list[Lint]:
    """List what is wrong, in the order of `CHECKS`; empty is clean."""
    return [
        *_never_fires(rule, known.channels),
        *(found for check in CHECKS for found in check(rule)),
        *_is_tested(rule, known.tested),
    ]


def _never_fires(rule: Rule, channels: tuple[str, ...] | None) -> Iterator[Lint]:
    for signal in signals_in(rule.expr):
        if reason := _unknown_channel(signal, channels):
            yield Lint("never-can-fire", "expr", *reason)
            return
    parts = alternatives(rule.expr)
    if parts is None:
        return
    reasons = [
        why_impossible(part) or why_unprovable(part, rule.confidence, rule.min_count)
        for part in parts
    ]
    if reasons[0] is not None and all(reason is not None for reason in reasons):
        yield Lint("never-can-fire", "expr", reasons[0], "correct the limit or the window")


def _unknown_channel(signal: Signal, channels: tuple[str, ...] | None) -> tuple[str, str] | None:
    wanted = [matcher for matcher in signal.matchers if matcher.label == "channel"]
    exact = [matcher.value for matcher in wanted if matcher.op == "="]
    # Without a configuration any channel may exist, but none has two names.
    names = channels if channels is not None else tuple(exact[:1])
    if not wanted or not names or any(matches(wanted, {"channel": name}) for name in names):
        return None
    shown = ", ".join(f'{one.label}{one.op}"{one.value}"' for one in wanted)
    hint = did_you_mean(exact[0], names) if exact and channels is not None else ""
    where = " of the configuration" if channels is not None else ""
    return f"no channel{where} matches {{{shown}}}", hint


def _always_fires(rule: Rule) -> Iterator[Lint]:
    parts = alternatives(rule.expr, is_negated=True)
    if parts and all(why_impossible(part) for part in parts):
        yield Lint("always-true", "expr", "the condition holds whatever happens")


def _is_owned(rule: Rule) -> Iterator[Lint]:
    if rule.severity != "critical":
        return
    if not rule.owner:
        hint = "write owner: and a name or team"
        yield Lint("no-owner", "alert", "a critical rule pages somebody, but has no owner", hint)
    if not rule.runbook_url:
        hint = "write runbook_url: and where the steps are"
        message = "a critical rule wakes people, but tells them no runbook"
        yield Lint("no-runbook", "alert", message, hint)


def _for_is_seen(rule: Rule) -> Iterator[Lint]:
    if 0 < rule.for_ms < rule.interval_ms:
        waited, interval = format_duration(rule.for_ms), format_duration(rule.interval_ms)
        message = f"'for' of {waited} is shorter than the interval of {interval}"
        yield Lint("for-shorter-than-interval", "for", message, "lengthen it or take it out")


def _resolves_below(rule: Rule) -> Iterator[Lint]:
    """Is there a gap? Windows are left out: a gap between windows is a gap in time, not in level."""
    if rule.resolve_when is None:
        return
    expr, resolve = _without_windows(rule.expr), _without_windows(rule.resolve_when)
    if not set(signals_in(resolve)) <= set(signals_in(expr)):
        return
    both = alternatives(Logical("and", expr, resolve))
    for part in both or ():
        if contradiction(bounds_of(part), is_closed=True) is None:
            shown = " and ".join(str(one) for one in bounds_of(part)) or "both"
            message = f"resolve_when is not stricter than expr: nothing lies between ({shown})"
            yield Lint("resolve-above-fire", "resolve_when", message, "leave a gap between them")
            return


def _without_windows(node: Node) -> Node:
    match node:
        case Signal(name, _, matchers, argument):
            return Signal(name, None, matchers, argument)
        case Negation(operand):
            return Negation(_without_windows(operand))
        case Arithmetic() | Comparison() | Logical():
            left, right = _without_windows(node.left), _without_windows(node.right)
            return msgspec.structs.replace(node, left=left, right=right)
        case Number():
            return node


def _acts_on_evidence(rule: Rule) -> Iterator[Lint]:
    if rule.for_ms or not any(action.type == "failover" for action in rule.actions):
        return
    for part in alternatives(rule.expr) or ():
        is_proven = any(
            chance_of(one) is not None or one.signal.name in _PROVEN for one in bounds_of(part)
        )
        if not is_proven:
            hint = "add for: 1m, or a ratio, a percentile or cusum_ratio to the condition"
            message = "failover is asked for at the first look, without evidence"
            yield Lint("action-without-guard", "actions", message, hint)
            return


def _counts_enough(rule: Rule) -> Iterator[Lint]:
    """A ratio over the last n orders moves in steps of 1/n; a limit below one step is no limit."""
    for part in alternatives(rule.expr) or ():
        for one in bounds_of(part):
            n = one.signal.window.last if one.signal.window else 0
            if n and one.op in (">", ">=") and one.signal.name in RATIOS and one.limit < 1 / n:
                fewest = fewest_that_prove(n, one.limit, rule.confidence)
                asked = f"; evidence asks for {fewest}" if fewest else ""
                message = f"'{one}': one of {n} orders is {1 / n:.1%} already{asked}"
                hint = f"take a window of {-(-1 // one.limit):.0f} orders or more"
                yield Lint("threshold-inside-noise", "expr", message, hint)
                return


def _is_tested(rule: Rule, tested: Collection[str] | None) -> Iterator[Lint]:
    if tested is not None and rule.alert not in tested:
        hint = "write a story with `alert:` in tests/ beside the rule file"
        yield Lint("no-tests", "alert", f"no rule test names '{rule.alert}'", hint)


CHECKS: tuple[Callable[[Rule], Iterator[Lint]], ...] = (
    _always_fires,
    _is_owned,
    _for_is_seen,
    _resolves_below,
    _acts_on_evidence,
    _counts_enough,
    lint_text,
)
