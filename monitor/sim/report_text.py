"""The report of a replay for people: the same numbers as the JSON object, in one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monitor.model.times import SECOND_MS, format_duration

ROWS_MAX = 20  # alerts and actions shown; the JSON object has them all


def render_report(report: Mapping[str, Any]) -> str:
    """Write the object of `build_report` as text; ends with a newline."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{report['events']} events: {report['accepted']} accepted, "
        f"{report['duplicates']} duplicates, {report['rejected']} rejected"
        + (f", {report['after_until']} after --until" if report["after_until"] else "")
    )
    if not report["orders"]:
        yield "no orders"
        return
    yield (
        f"{report['orders']} orders from {report['first_event_at']} to {report['last_event_at']}, "
        f"judged at {report['judged_at']}"
    )
    for warning in report["warnings"]:
        yield f"warning: {warning}"
    yield ""
    yield from _verdicts("all orders", report)
    yield f"breached   {report['breached']}"
    for channel, summary in report["by_channel"].items():
        yield ""
        yield from _verdicts(f"channel {channel}", summary)
    yield ""
    yield from _alerts(report)
    yield from _actions(report)
    yield ""
    yield f"rules evaluated every {_duration(report['evaluated_every_s'])}"
    yield f"state  {report['state_hash']}"
    yield f"engine {report['engine_hash']}"


def _verdicts(title: str, summary: Mapping[str, Any]) -> Iterator[str]:
    delays, health = summary["delay_s"], summary["health_index"]
    counts = [f"{name} {count}" for name, count in summary["verdicts"].items() if count]
    yield title
    yield f"verdicts   {', '.join(counts)}"
    percentiles = [f"{name} {_duration(delays[name])}" for name in ("p50", "p90", "p95", "p99")]
    yield (
        f"delay      {', '.join(percentiles)}; mean at least "
        f"{_duration(delays['mean_lower_bound'])} "
        f"({delays['n_events']} delivered, {delays['n_censored']} not)"
    )
    lost = {name: points for name, points in health["components"].items() if points >= 0.05}
    worst = sorted(lost, key=lambda name: -lost[name])[:3]
    reasons = ", ".join(f"-{lost[name]:.1f} {name}" for name in worst)
    value = "none" if health["value"] is None else f"{health['value']:.1f} of 100"
    yield f"health     {value} ({health['state']})" + (f": {reasons}" if reasons else "")


def _alerts(report: Mapping[str, Any]) -> Iterator[str]:
    alerts = report["alerts"]
    yield f"alerts     {len(alerts)}"
    for alert in alerts[:ROWS_MAX]:
        labels = ",".join(f"{name}={value}" for name, value in alert["labels"].items())
        until = alert["resolved_at"] or ("still firing" if alert["firing_at"] else "pending")
        yield (
            f"  {alert['firing_at'] or alert['pending_at']} to {until}  "
            f"{alert['severity']} {alert['rule']}" + (f"{{{labels}}}" if labels else "")
        )
    yield from _more(len(alerts))


def _actions(report: Mapping[str, Any]) -> Iterator[str]:
    actions = report["actions"]
    yield f"actions    {len(actions)}"
    for action in actions[:ROWS_MAX]:
        when = f"{action['at']} " if "at" in action else ""
        count = f" x{action['count']}" if action.get("count", 1) > 1 else ""
        names = ("mode", "reason", "order_id", "tier", "source", "event")
        words = " ".join(str(action[name]) for name in names if action.get(name))
        yield f"  {when}{action['type']} {words}{count}"
    yield from _more(len(actions))


def _more(count: int) -> Iterator[str]:
    if count > ROWS_MAX:
        yield f"  … and {count - ROWS_MAX} more (--json has all)"


def _duration(seconds: float | None) -> str:
    return "not reached" if seconds is None else format_duration(round(seconds * SECOND_MS))
