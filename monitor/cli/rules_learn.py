"""Propose limits learned from recorded events, per channel and hour of the week.

A limit is what a share of --target of the healthy orders exceeds. Orders that still wait count as
waiting; incidents are left out with --exclude. The file has the limits with where they come from,
and rules in shadow that use them: nothing changes before you say so. An existing file is only
replaced with --force; without it the differences are shown and the exit code is 1.

Examples:
  delivery-monitor rules learn --events march.ndjson
  delivery-monitor rules learn --events march.ndjson -o rules/learned.yaml --target 0.5%
  delivery-monitor rules learn --events a.ndjson --events b.ndjson --channel auto --json
  delivery-monitor rules learn --events a.ndjson --exclude 2026-03-04T10:00+08:00/2026-03-04T12:30+08:00
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.cli.history import parse_span, read_history
from monitor.cli.output import say, say_json, warn
from monitor.config.learned_file import (
    Change,
    LearnedChannel,
    changes,
    render_learned,
    shown_duration,
)
from monitor.config.load import load
from monitor.core.signals.calendar import Offsets, hours_of_week
from monitor.core.signals.thresholds import ORDERS_MIN, NotLearnedError, learn_thresholds
from monitor.model.errors import InputError
from monitor.model.rules import BASELINED, QUANTILES
from monitor.model.spelling import did_you_mean
from monitor.model.times import format_rfc3339
from monitor.sim.history import History

SHOP = ""  # a limit for all channels together is that of the empty channel


class Skipped(msgspec.Struct, frozen=True):
    """A channel for which no limit is proposed, and why."""

    channel: str
    reason: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rules learn`."""
    parser.add_argument("--events", action="append", required=True, metavar="F",
                        help="recorded events, NDJSON or JSON array, - stdin; may repeat")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml: zone, promise")
    parser.add_argument("--channel", action="append", default=[], metavar="C",
                        help="only this channel; may repeat (default: all)")  # fmt: skip
    parser.add_argument("--whole-shop", action="store_true",
                        help="one more limit for all channels together")  # fmt: skip
    parser.add_argument("--signal", default="p95_delay", metavar="S",
                        help=f"what the limit is for: {', '.join(BASELINED)}")  # fmt: skip
    parser.add_argument("--target", default="1%", metavar="P",
                        help="share of healthy orders beyond the limit (default: 1%%)")  # fmt: skip
    parser.add_argument("--exclude", action="append", default=[], metavar="FROM/TO",
                        help="an incident, two times with zone; may repeat")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="F", help="file (default: stdout)")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def run(options: argparse.Namespace) -> int:
    """Learn, compare, write; InputError when nothing can be learned."""
    target = _target(options.target, options.signal)
    excluded = [parse_span(text, "--exclude") for text in options.exclude]
    settings = load(options.config).settings
    past = read_history(options.events, settings, excluded)
    channels = _channels(past, options.channel, with_shop=options.whole_shop)
    learned, skipped = _learned(past, channels, options.signal, target, settings.utc_offsets)
    if not learned:
        reasons = (
            "; ".join(f"{_shown(one.channel)}: {one.reason}" for one in skipped) or "no paid order"
        )
        raise InputError(
            f"nothing was learned: {reasons}",
            code="too_little_data",
            hint=f"give at least {ORDERS_MIN} paid orders of healthy days per channel",
        )
    path: Path | None = options.output
    is_there = path is not None and path.exists()
    moved = changes(path, learned) if path is not None and is_there else []
    is_written = path is not None and (not is_there or options.force)
    text = render_learned(learned, settings.timezone)
    if path is not None and is_written:
        path.write_text(text, encoding="utf-8")
    if options.json:
        say_json(_as_json(past, learned, skipped, moved, str(path) if is_written else None))
    else:
        _tell(past, learned, skipped, moved)
        if path is None:
            say(text.rstrip("\n"))
        elif is_written:
            warn(f"wrote {path}; its rules are in shadow")
        else:
            warn(f"{path} exists and was not changed; --force replaces it")
    return 0 if path is None or is_written else 1


def _channels(past: History, asked: Sequence[str], *, with_shop: bool) -> list[str]:
    """The channels to learn; an empty name is the whole shop."""
    unknown = [name for name in asked if name not in past.channels]
    if unknown:
        hint = did_you_mean(unknown[0], past.channels) or f"there are {', '.join(past.channels)}"
        raise InputError(f"no order of channel {unknown[0]!r} was recorded", hint=hint)
    return [*(asked or past.channels), *([SHOP] if with_shop else [])]


def _learned(
    past: History, channels: Sequence[str], signal: str, target: float, offsets: Offsets
) -> tuple[list[LearnedChannel], list[Skipped]]:
    hours = hours_of_week(past.paid_ms, offsets)
    learned: list[LearnedChannel] = []
    skipped: list[Skipped] = []
    for channel in channels:
        rows = past.of(channel or None)
        try:
            limits = learn_thresholds(
                past.durations_ms[rows], past.is_delivered[rows], hours[rows], target
            )
        except NotLearnedError as error:
            skipped.append(Skipped(channel, str(error)))
            continue
        learned.append(
            LearnedChannel(signal, channel, limits, past.from_ms, past.to_ms, past.excluded)
        )
    return learned, skipped


def _target(text: str, signal: str) -> float:
    if signal not in BASELINED:
        hint = did_you_mean(signal, BASELINED) or f"known are {', '.join(BASELINED)}"
        raise InputError(f"no limit can be learned for {signal!r}", hint=hint)
    try:
        target = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        target = -1.0
    # With a larger share beyond the limit the healthy percentile itself would lie beyond it.
    largest = round(1.0 - QUANTILES[signal], 12) if signal in QUANTILES else 0.5
    if not 0.0 < target <= largest:
        raise InputError(
            f"--target {text!r} is not above 0 and at most {100 * largest:g}%",
            hint=f"for {signal} write for example {50 * largest:g}%",
        )
    return target


def _as_json(
    past: History,
    learned: Sequence[LearnedChannel],
    skipped: Sequence[Skipped],
    moved: Sequence[Change],
    written: str | None,
) -> dict[str, object]:
    return {
        "written": written,
        "from": format_rfc3339(past.from_ms),
        "to": format_rfc3339(past.to_ms),
        "excluded": [
            {"from": format_rfc3339(since), "to": format_rfc3339(until)}
            for since, until in past.excluded
        ],
        "excluded_orders": past.n_excluded,
        "learned": [
            {"signal": one.signal, "channel": one.channel, **msgspec.to_builtins(one.limits)}
            for one in learned
        ],
        "skipped": msgspec.to_builtins(skipped),
        "changes": msgspec.to_builtins(moved),
    }


def _tell(
    past: History,
    learned: Sequence[LearnedChannel],
    skipped: Sequence[Skipped],
    moved: Sequence[Change],
) -> None:
    """Say on standard error what was done, so that standard output is the file."""
    for since, until in past.excluded:
        warn(f"excluded {format_rfc3339(since)} to {format_rfc3339(until)}")
    if past.excluded:
        warn(f"excluded {past.n_excluded:,} orders paid in incidents")
    for one in learned:
        low, high = min(one.limits.by_hour_s), max(one.limits.by_hour_s)
        warn(
            f"{_shown(one.channel)}: {one.limits.n:,} orders, {one.limits.method}, {one.signal} limit "
            f"{shown_duration(one.limits.overall_s)} ({shown_duration(low)} to "
            f"{shown_duration(high)} by hour)"
        )
    for left in skipped:
        warn(f"{_shown(left.channel)}: {left.reason}")
    for change in moved:
        warn(_change_line(change))


def _change_line(change: Change) -> str:
    name = f"{change.signal} on {_shown(change.channel)}"
    if change.before_s is None or change.after_s is None:
        known = change.after_s if change.before_s is None else change.before_s
        word = "new" if change.before_s is None else "no longer there, was"
        return f"  {name}: {word} {shown_duration(known or 0.0)}"
    share = change.after_s / change.before_s - 1.0
    return (
        f"  {name}: {shown_duration(change.before_s)} → {shown_duration(change.after_s)} "
        f"({share:+.0%}), {change.hours_moved} of 168 hours move by more than 10%"
    )


def _shown(channel: str) -> str:
    return channel or "whole shop"
