"""The back-test's report for people: a table per version, and what changed between the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monitor.model.times import SECOND_MS, format_duration
from monitor.sim.backtest_report import ALL_RULES

ROWS_MAX = 20  # episodes and incidents shown of each kind; the JSON object has all
_HEADER = ("rule", "severity", "episodes", "detected after", "min firing", "messages", "actions",
           "missed", "false")  # fmt: skip
_WORDS = {
    "episodes": "episodes",
    "minutes_firing": "min firing",
    "messages": "messages",
    "actions": "actions",
    "missed": "missed incidents",
    "false_episodes": "false episodes",
    "detect_s": "detected after",
}


def render_report(report: Mapping[str, Any]) -> str:
    """Write the object of `build_report` as text; ends with a newline."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{report['events']:,} events, {report['orders']:,} orders, {report['breached']:,} late, "
        f"from {report['from'] or '-'} to {report['to'] or '-'}"
    )
    for warning in report["warnings"]:
        yield f"warning: {warning}"
    every = format_duration(round(report["evaluated_every_s"] * SECOND_MS))
    yield f"rules evaluated at most every {every} (--every)"
    if report["incidents"] is None:
        yield "no labelled incidents: detection counts from the first late order of an episode"
    else:
        yield f"{report['incidents']} labelled incidents"
    for version in report["versions"]:
        yield ""
        yield from _version(version)
    if report["difference"] is not None:
        yield ""
        yield from _difference(report["difference"])


def _version(version: Mapping[str, Any]) -> Iterator[str]:
    totals = version["totals"]
    yield str(version["name"])
    rows = [_row(one["rule"], _severity(one), one) for one in version["rules"]]
    yield from _table([_HEADER, *rows, _row(ALL_RULES, "", totals)])
    receivers = ", ".join(f"{count} to {name}" for name, count in _sorted(totals, "by_receiver"))
    yield f"messages   {receivers or 'none'}"
    others = ", ".join(f"{count} {name}" for name, count in totals["other_messages"].items())
    if others:
        yield f"           and of other kinds: {others}"
    actions = ", ".join(f"{count} {name}" for name, count in totals["actions_by_type"].items())
    yield f"actions    {actions or 'none'}"
    advised = ", ".join(f"{count} {name}" for name, count in totals["advised"].items())
    if advised:
        yield f"           only advised: {advised}"
    missed = totals["missed_incidents"] or []
    for incident in missed[:ROWS_MAX]:
        where = f" on {incident['channel']}" if incident["channel"] else ""
        yield f"missed     {incident['from']} to {incident['to']}{where}"
    yield from _more(len(missed))


def _sorted(totals: Mapping[str, Any], kind: str) -> list[tuple[str, int]]:
    return sorted(totals[f"messages_{kind}"].items())


def _severity(rule: Mapping[str, Any]) -> str:
    return "shadow" if rule["mode"] == "shadow" else str(rule["severity"])


def _row(name: str, severity: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    detect = one["detect_s"]
    after = "-"
    if detect["n"]:
        after = f"{_duration(detect['median'])} (p90 {_duration(detect['p90'])})"
    return (
        name,
        severity,
        str(one["episodes"]),
        after,
        f"{one['minutes_firing']:g}",
        str(one["messages"]),
        str(one["actions"]),
        _number(one["missed"]),
        _number(one["false_episodes"]),
    )


def _difference(difference: Mapping[str, Any]) -> Iterator[str]:
    yield "difference (old -> new)"
    if not difference["rules"] and not difference["only_old"] and not difference["only_new"]:
        yield "  none"
        return
    marks = {"added": "+", "removed": "-", "kept": "~"}
    for one in difference["rules"]:
        parts = [
            f"{_WORDS[field]} {_changed(field, old)} -> {_changed(field, new)}"
            for field, (old, new) in one["changed"].items()
            if one["state"] == "kept" or (old, new) != (None, None)
        ]
        yield f"  {marks[one['state']]} {one['rule']}: {', '.join(parts) or one['state']}"
    for mark, episodes in (("-", difference["only_old"]), ("+", difference["only_new"])):
        for one in episodes[:ROWS_MAX]:
            labels = ",".join(f"{name}={value}" for name, value in one["labels"].items())
            until = one["resolved_at"] or "the end"
            suffix = f"{{{labels}}}" if labels else ""
            yield f"  {mark} episode {one['rule']}{suffix} {one['firing_at']} to {until}"
        yield from _more(len(episodes))


def _changed(field: str, value: Any) -> str:
    if field == "detect_s":
        return _duration(value)
    return "-" if value is None else f"{value:g}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def _more(count: int) -> Iterator[str]:
    if count > ROWS_MAX:
        yield f"  … and {count - ROWS_MAX} more (--json has all)"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(round(seconds * SECOND_MS))
