"""What a back-test says: one object per version of the rules, and their difference.

Times are RFC 3339, durations seconds. Numbers that need labelled incidents are null without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from monitor.model.rules import Rule
from monitor.model.times import MINUTE_MS, SECOND_MS, format_rfc3339
from monitor.sim.backtest import (
    Episode,
    Incident,
    Outcome,
    detections_ms,
    firing_ms,
    missed,
    without_counterpart,
)
from monitor.sim.gaps import gap_warnings
from monitor.sim.player import Tape

ALL_RULES = "all rules"
# What two versions are compared by.
COMPARED = ("episodes", "minutes_firing", "messages", "actions", "missed", "false_episodes")


def build_report(
    outcomes: Sequence[Outcome],
    tape: Tape,
    incidents: Sequence[Incident] | None,
    *,
    evaluated_every_ms: int,
    rejected: int = 0,
) -> dict[str, Any]:
    """The `rules backtest --json` object; `outcomes` are one version, or the old and the new one."""
    first = outcomes[0]
    report: dict[str, Any] = {
        "events": tape.taken,
        "rejected": rejected + tape.untimed,
        "orders": first.orders,
        "breached": first.breaches,
        "from": _time(tape.first_ms),
        "to": _time(tape.at_ms if tape.taken else None),
        "evaluated_every_s": evaluated_every_ms / SECOND_MS,
        "incidents": None if incidents is None else len(incidents),
        "versions": [_version(one, incidents) for one in outcomes],
        "difference": None,
        "warnings": list(gap_warnings(tape)),
    }
    if len(outcomes) == 2:
        report["difference"] = _difference(outcomes[0], outcomes[1], report["versions"])
    return report


def _version(outcome: Outcome, incidents: Sequence[Incident] | None) -> dict[str, Any]:
    rules = [
        {
            "rule": rule.alert,
            "severity": rule.severity,
            "mode": rule.mode,
            **_figures(
                outcome,
                [one for one in outcome.episodes if one.rule == rule.alert],
                incidents,
                rule=rule,
            ),
        }
        for rule in outcome.rules.rules
    ]
    other = Counter(one.event for one in outcome.sent if not one.rule)
    return {
        "name": outcome.name,
        "rules": rules,
        "totals": {
            **_figures(outcome, outcome.episodes, incidents),
            "other_messages": dict(sorted(other.items())),
            "advised": _counted(one.type for one in outcome.acted if one.is_advice),
            "missed_incidents": _missed(outcome, incidents),
        },
        "episodes": [_episode(one) for one in outcome.episodes],
    }


def _figures(
    outcome: Outcome,
    episodes: Sequence[Episode],
    incidents: Sequence[Incident] | None,
    *,
    rule: Rule | None = None,
) -> dict[str, Any]:
    """The numbers of one rule, or of all together."""
    name = None if rule is None else rule.alert
    sent = [one for one in outcome.sent if one.rule and name in (None, one.rule)]
    done = [one for one in outcome.acted if not one.is_advice and name in (None, one.rule)]
    has_labels = incidents is not None
    caught = missed(episodes, len(incidents or ()))
    return {
        "episodes": len(episodes),
        "detect_s": _detect(detections_ms(episodes)),
        "minutes_firing": round(firing_ms(episodes, outcome.end_ms) / MINUTE_MS, 1),
        "messages": len(sent),
        "messages_by_receiver": _counted(one.receiver for one in sent),
        "actions": len(done),
        "actions_by_type": _counted(one.type for one in done),
        "missed": len(caught) if has_labels else None,
        "false_episodes": sum(not one.incidents for one in episodes) if has_labels else None,
    }


def _detect(found: Sequence[int]) -> dict[str, Any]:
    def at(share: float) -> float | None:
        """The smallest value that so many lie at or below."""
        if not found:
            return None
        return found[max(0, -int(-share * len(found) // 1) - 1)] / SECOND_MS

    return {"n": len(found), "median": at(0.5), "p90": at(0.9), "max": at(1.0)}


def _missed(outcome: Outcome, incidents: Sequence[Incident] | None) -> list[dict[str, Any]] | None:
    if incidents is None:
        return None
    return [
        {
            "from": _time(incidents[number].from_ms),
            "to": _time(incidents[number].to_ms),
            "channel": incidents[number].channel,
        }
        for number in missed(outcome.episodes, len(incidents))
    ]


def _episode(episode: Episode) -> dict[str, Any]:
    found = episode.evidence
    detect_ms = episode.detect_ms
    return {
        "rule": episode.rule,
        "labels": dict(episode.labels),
        "severity": episode.severity,
        "pending_at": _time(episode.pending_ms),
        "firing_at": _time(episode.firing_ms),
        "resolved_at": _time(episode.resolved_ms),
        "began_at": _time(episode.began_ms),
        "detect_s": None if detect_ms is None else detect_ms / SECOND_MS,
        "incidents": list(episode.incidents),
        "reason": episode.reason,
        "value": found.value,
        "evidence": {name: getattr(found, name) for name in ("signal", "k", "n", "p", "limit")},
    }


def _difference(old: Outcome, new: Outcome, versions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Old and new figures of every rule of either, and the episodes that only one of them has."""
    figures = [
        {one["rule"]: one for one in version["rules"]} | {ALL_RULES: version["totals"]}
        for version in versions
    ]
    names = dict.fromkeys([*figures[0], *figures[1]])
    names.pop(ALL_RULES)
    rules = []
    for name in [*names, ALL_RULES]:
        before, after = figures[0].get(name), figures[1].get(name)
        changed = {
            field: [_figure(before, field), _figure(after, field)]
            for field in COMPARED
            if _figure(before, field) != _figure(after, field)
        }
        medians = [one and one["detect_s"]["median"] for one in (before, after)]
        if medians[0] != medians[1]:
            changed["detect_s"] = medians
        state = "removed" if after is None else "added" if before is None else "kept"
        if changed or state != "kept":
            rules.append({"rule": name, "state": state, "changed": changed})
    gone = without_counterpart(old.episodes, new.episodes, old.end_ms)
    come = without_counterpart(new.episodes, old.episodes, new.end_ms)
    return {
        "rules": rules,
        "only_old": [_episode(one) for one in gone],
        "only_new": [_episode(one) for one in come],
    }


def _figure(figures: dict[str, Any] | None, field: str) -> Any:
    return None if figures is None else figures[field]


def _counted(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)
