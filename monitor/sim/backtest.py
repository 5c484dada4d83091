"""What rules would have done over recorded events: episodes, time to detect, messages, actions.

    tape ─► player with rules P ─► ledger ─► episodes ─┐
         └► player with rules Q ─► ledger ─► episodes ─┴► the two beside each other

An episode is one alert from firing to resolved. It is matched with incidents that people labelled,
if they did; else its time to detect counts from the first order that broke its promise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import msgspec

from monitor.core.views.ledger import Acted, Ledger, Sent
from monitor.model.alerts import AlertState, Evidence
from monitor.model.records import AlertMoved
from monitor.model.rules import RuleSet
from monitor.model.settings import ReceiverSettings, Settings
from monitor.model.times import HOUR_MS, MINUTE_MS
from monitor.sim.player import Player, Progress, Tape

# An alert may follow on its incident: the last orders break their promise after it.
GRACE_MS = 10 * MINUTE_MS
# Breaches further apart do not belong to the same trouble, nor do those of half a day before.
CALM_MS = 30 * MINUTE_MS
TROUBLE_MAX_MS = 6 * HOUR_MS
# Without receivers in the configuration messages are counted for this one.
STAND_IN = ReceiverSettings("default", ("webhook/0",))


class Incident(msgspec.Struct, frozen=True):
    """Real trouble that people labelled; `channel` None: everywhere."""

    from_ms: int
    to_ms: int
    channel: str | None = None


class Episode(msgspec.Struct, frozen=True):
    """One alert from firing to resolved (None: still firing at the end).

    `incidents` are the places in the list of incidents that it belongs to. `began_ms` is when what
    it is about began: the incident, or the first breach; None if neither is known.
    """

    rule: str
    labels: tuple[tuple[str, str], ...]
    severity: str
    pending_ms: int | None
    firing_ms: int
    resolved_ms: int | None
    evidence: Evidence
    reason: str
    incidents: tuple[int, ...] = ()
    began_ms: int | None = None

    @property
    def channel(self) -> str | None:
        """The channel it is about; None: not one in particular."""
        return dict(self.labels).get("channel")

    @property
    def detect_ms(self) -> int | None:
        """From the beginning to firing; below 0 it fired before the first order was late."""
        return None if self.began_ms is None else self.firing_ms - self.began_ms


class Outcome(msgspec.Struct, frozen=True, eq=False):
    """Everything one version of the rules did over a tape."""

    name: str
    rules: RuleSet
    episodes: tuple[Episode, ...]
    sent: tuple[Sent, ...]
    acted: tuple[Acted, ...]
    orders: int
    breaches: int
    end_ms: int


def backtest(
    name: str,
    tape: Tape,
    settings: Settings,
    rules: RuleSet,
    incidents: Sequence[Incident] | None,
    on_progress: Progress,
) -> Outcome:
    """Play a tape to an engine with these rules; `settings` say how often it evaluates at most.

    Without `incidents` (None) episodes are judged by the breaches before them; an empty list says
    that there was no incident, so every episode is false.
    """
    ledger = Ledger(rules)
    player = Player(_with_receiver(settings), rules, ledger.take)
    player.play(tape, on_progress)
    episodes = _episodes(ledger.moves)
    if incidents is None:
        episodes = _since_breaches(episodes, ledger.breaches)
    else:
        episodes = [_of_incidents(one, incidents, tape.at_ms) for one in episodes]
    return Outcome(
        name=name,
        rules=rules,
        episodes=tuple(episodes),
        sent=tuple(ledger.sent),
        acted=tuple(ledger.acted),
        orders=player.orders,
        breaches=len(ledger.breaches),
        end_ms=tape.at_ms,
    )


def detections_ms(episodes: Sequence[Episode]) -> list[int]:
    """Times to detect, sorted; of several episodes of one incident only the first counts."""
    found: list[int] = []
    seen: Counter[int] = Counter()
    for episode in sorted(episodes, key=lambda one: one.firing_ms):
        is_new = not episode.incidents or any(not seen[one] for one in episode.incidents)
        seen.update(episode.incidents)
        if episode.detect_ms is not None and is_new:
            found.append(episode.detect_ms)
    return sorted(found)


def firing_ms(episodes: Sequence[Episode], end_ms: int) -> int:
    """How long at least one of the episodes was firing."""
    total_ms = until_ms = 0
    for episode in sorted(episodes, key=lambda one: one.firing_ms):
        last_ms = end_ms if episode.resolved_ms is None else episode.resolved_ms
        total_ms += max(0, last_ms - max(episode.firing_ms, until_ms))
        until_ms = max(until_ms, last_ms)
    return total_ms


def missed(episodes: Sequence[Episode], count: int) -> list[int]:
    """Places of the incidents, of so many, that no episode belongs to."""
    caught = Counter(one for episode in episodes for one in episode.incidents)
    return [number for number in range(count) if not caught[number]]


def without_counterpart(
    episodes: Sequence[Episode], others: Sequence[Episode], end_ms: int
) -> list[Episode]:
    """Episodes during which no other of the same rule and labels was firing."""
    return [
        one
        for one in episodes
        if not any(
            other.rule == one.rule
            and other.labels == one.labels
            and other.firing_ms <= (end_ms if one.resolved_ms is None else one.resolved_ms)
            and one.firing_ms <= (end_ms if other.resolved_ms is None else other.resolved_ms)
            for other in others
        )
    ]


def _with_receiver(settings: Settings) -> Settings:
    settings = msgspec.structs.replace(settings, webhooks=())  # they are no messages to people
    if settings.receivers and settings.default_receiver is not None:
        return settings
    return msgspec.structs.replace(settings, receivers=(STAND_IN,), default_receiver=STAND_IN.name)


def _episodes(moves: Sequence[AlertMoved]) -> list[Episode]:
    found: list[Episode] = []
    open_at: dict[str, int] = {}
    for moved in moves:
        alert = moved.alert
        if alert.state == AlertState.FIRING and moved.previous != AlertState.FIRING:
            open_at[alert.key] = len(found)
            found.append(
                Episode(
                    rule=alert.rule,
                    labels=alert.labels,
                    severity=alert.severity,
                    pending_ms=alert.pending_ms,
                    firing_ms=moved.at_ms,
                    resolved_ms=None,
                    evidence=alert.evidence,
                    reason=alert.reason,
                )
            )
        elif moved.previous == AlertState.FIRING and alert.state != AlertState.FIRING:
            place = open_at.pop(alert.key)
            found[place] = msgspec.structs.replace(found[place], resolved_ms=moved.at_ms)
    return found


def _of_incidents(episode: Episode, incidents: Sequence[Incident], end_ms: int) -> Episode:
    """Which incidents an episode is about: it was firing during them, or soon after."""
    last_ms = end_ms if episode.resolved_ms is None else episode.resolved_ms
    found = [
        number
        for number, incident in enumerate(incidents)
        if episode.firing_ms <= incident.to_ms + GRACE_MS
        and incident.from_ms <= last_ms
        and (None in (incident.channel, episode.channel) or incident.channel == episode.channel)
    ]
    if not found:
        return episode
    began_ms = incidents[found[0]].from_ms
    return msgspec.structs.replace(
        # One that fired before it began was no help in finding it, and not late either.
        episode, incidents=tuple(found), began_ms=min(began_ms, episode.firing_ms)
    )  # fmt: skip


def _since_breaches(
    episodes: Sequence[Episode], breaches: Sequence[tuple[int, str]]
) -> list[Episode]:
    times: dict[str | None, list[int]] = {None: sorted(at_ms for at_ms, _ in breaches)}
    for at_ms, channel in breaches:
        times.setdefault(channel, []).append(at_ms)
    for each in times.values():
        each.sort()
    ended_ms: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    found = []
    for episode in episodes:
        instance = episode.rule, episode.labels
        after_ms = max(ended_ms.get(instance, 0), episode.firing_ms - TROUBLE_MAX_MS)
        began_ms = _began_ms(episode, times.get(episode.channel, []), after_ms)
        found.append(msgspec.structs.replace(episode, began_ms=began_ms))
        if episode.resolved_ms is not None:
            ended_ms[instance] = episode.resolved_ms
    return found


def _began_ms(episode: Episode, times: Sequence[int], after_ms: int) -> int | None:
    """The first breach of the run that led to an episode; else the first one during it."""
    place = bisect_right(times, episode.firing_ms) - 1
    latest_ms = episode.firing_ms
    began_ms = None
    while place >= 0 and times[place] > after_ms and latest_ms - times[place] <= CALM_MS:
        began_ms = latest_ms = times[place]
        place -= 1
    if began_ms is not None:
        return began_ms
    place = bisect_right(times, episode.firing_ms)
    if place < len(times) and (episode.resolved_ms is None or times[place] <= episode.resolved_ms):
        return times[place]
    return None
