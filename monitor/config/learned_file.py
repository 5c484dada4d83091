"""The file that `rules learn` proposes: limits with where they come from, and rules that use them.

learned:
  - {signal: p95_delay, channel: auto, method: pot, target: 1%, n: 812, from: …, to: …,
     excluded: [{from: …, to: …}], overall: 95.2s, by_hour: {mon: [24 durations], tue: …}}
groups: the rules, all `mode: shadow`: a proposal changes nothing until a person says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.config.yaml_lines import read_with_positions
from monitor.core.signals.thresholds import Thresholds
from monitor.model.rules import QUANTILES
from monitor.model.times import SECOND_MS, format_rfc3339, parse_duration

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_H = 24
# A percentile needs judged orders to be told from chance; a mean needs fewer.
_WINDOW = {True: "[30m:40:24h]", False: "[30m:20:24h]"}
_SPECIAL = '|*"\\'


class LearnedChannel(msgspec.Struct, frozen=True):
    """Limits of one signal on one channel, and what they were learned from (UTC ms).

    An empty channel is the whole shop.
    """

    signal: str
    channel: str
    limits: Thresholds
    from_ms: int
    to_ms: int
    excluded: tuple[tuple[int, int], ...] = ()


class Change(msgspec.Struct, frozen=True):
    """How a limit differs from that of an existing file; None where one of them has none.

    `hours_moved` of 168 hours differ by more than a tenth.
    """

    signal: str
    channel: str
    before_s: float | None
    after_s: float | None
    hours_moved: int = 0


def render_learned(learned: Sequence[LearnedChannel], timezone: str) -> str:
    """Write the file; the same limits always give the same text. `timezone` is that of the hours."""
    lines = [
        "# Proposed by `delivery-monitor rules learn`. The rules below are in shadow: they record",
        "# what they would have said and tell nobody. Read the limits, then take `mode: shadow` out.",
        f"# The hours of by_hour are those of {timezone}: learn again when `timezone` changes.",
        "learned:",
    ]
    for one in learned:
        lines += _entry(one)
    lines += ["groups:", "  - name: learned", "    rules:"]
    for signal in dict.fromkeys(one.signal for one in learned):
        lines += _rule(signal, [one.channel for one in learned if one.signal == signal])
    return "\n".join(lines) + "\n"


def changes(path: Path, learned: Sequence[LearnedChannel]) -> list[Change]:
    """Compare with the limits in a file; one that holds none has None everywhere.

    Raises: ConfigError when the file is no YAML.
    """
    old = _limits_in(path)
    new = {(one.signal, one.channel): one.limits for one in learned}
    found = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        moved = 0
        if before is not None and after is not None:
            pairs = zip(before[1], after.by_hour_s, strict=False)
            moved = sum(abs(then - now) > 0.1 * then for then, now in pairs)
        found.append(
            Change(
                *key,
                before_s=None if before is None else before[0],
                after_s=None if after is None else after.overall_s,
                hours_moved=moved,
            )
        )
    return found


def shown_duration(seconds: float) -> str:
    """A limit as files write it: `95.2s`, below a second `250ms`."""
    if seconds < 1.0:
        return f"{max(1, round(seconds * SECOND_MS))}ms"
    return f"{seconds:.1f}".removesuffix(".0") + "s"


def _entry(one: LearnedChannel) -> list[str]:
    limits = one.limits
    lines = [
        f"  - signal: {one.signal}",
        f"    channel: {_quoted(one.channel)}",
        f"    method: {limits.method}",
        f"    target: {100 * limits.target:g}%",
        f"    n: {limits.n}",
        f"    from: {_quoted(format_rfc3339(one.from_ms))}",
        f"    to: {_quoted(format_rfc3339(one.to_ms))}",
    ]
    lines.append("    excluded:" if one.excluded else "    excluded: []")
    for since, until in one.excluded:
        span = f"from: {_quoted(format_rfc3339(since))}, to: {_quoted(format_rfc3339(until))}"
        lines.append(f"      - {{{span}}}")
    lines += [f"    overall: {shown_duration(limits.overall_s)}", "    by_hour:"]
    for number, day in enumerate(DAYS):
        hours = limits.by_hour_s[number * DAY_H : (number + 1) * DAY_H]
        lines.append(f"      {day}: [{', '.join(shown_duration(value) for value in hours)}]")
    return lines


def _rule(signal: str, channels: Sequence[str]) -> list[str]:
    """One rule for all channels; one more for the whole shop if it has a limit of its own."""
    words = "".join(word.capitalize() for word in signal.split("_"))
    named = [name for name in channels if name]
    is_plain = not any(letter in name for name in named for letter in _SPECIAL)
    chosen = f'{{channel=~"{"|".join(named)}"}}' if is_plain else ""
    lines: list[str] = []
    if named:
        lines += _alert(f"{words}AboveLearned", signal, chosen, " on {{ channel }}", "[channel]")
    if len(named) < len(channels):
        lines += _alert(f"{words}OfShopAboveLearned", signal, "", "", "[]")
    return lines


def _alert(name: str, signal: str, chosen: str, where: str, by: str) -> list[str]:
    window = _WINDOW[signal in QUANTILES]
    expr = f"{signal}{chosen}{window} > baseline({signal})".replace("'", "''")
    summary = f"Orders{where} take longer than is usual at this hour: {{{{ value }}}}"
    return [
        f"      - alert: {name}",
        f"        expr: '{expr}'",
        f"        by: {by}",
        "        severity: warning",
        "        mode: shadow",
        "        annotations:",
        f'          summary: "{summary}"',
    ]


def _quoted(text: str) -> str:
    # A JSON string is a YAML string, whatever is in it.
    return msgspec.json.encode(text).decode()


def _limits_in(path: Path) -> dict[tuple[str, str], tuple[float, list[float]]]:
    """Limits of a file by signal and channel: overall and per hour, in seconds."""
    value, _ = read_with_positions(path)
    entries = value.get("learned") if isinstance(value, dict) else None
    found = {}
    for entry in entries if isinstance(entries, list) else []:
        try:
            days = [entry["by_hour"][day] for day in DAYS]
            hours = [parse_duration(text) / SECOND_MS for day in days for text in day]
            overall_s = parse_duration(entry["overall"]) / SECOND_MS
            found[str(entry["signal"]), str(entry["channel"])] = (overall_s, hours)
        except (KeyError, TypeError, ValueError):
            continue  # not one of ours: nothing to compare with
    return found
