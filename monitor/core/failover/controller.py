"""Which channel gets new orders: decides switches, allocates epochs, answers `/v1/route`.

    healthy ── four slow in a row, or stalled ──► decide ──► sent ──► applied | stale | refused | expired
                                                    │
                                                    └── refused here: no better channel, too soon, too
                                                        many, locked, proved only by orders of a
                                                        silent source

In `observe` and `advise` the decision is recorded and told but changes nothing; `enforce` and a
person's order allocate the next epoch and become the route. A command carries the whole desired
state, so the newest epoch is all that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from monitor.core.failover.breaker import STREAK, ChannelSpeed
from monitor.model.ids import ALL_ORDERS, derived_id
from monitor.model.records import ChannelSteered, SwitchAnswered, SwitchDecided, SwitchOrdered
from monitor.model.settings import Settings
from monitor.model.times import HOUR_MS

FULL = 100
ADVISE_AGAIN_MS = 6 * HOUR_MS  # the same advice is not repeated sooner
# They get orders through the fallback or a review, not a route.
UNROUTED_KINDS = ("manual", "shop_retry", "sim")


class RouteState(msgspec.Struct, gc=False):
    """The desired state of the one scope, and what the shop said to it."""

    epoch: int = 0
    weights: dict[str, int] = {}
    decision_id: str | None = None
    decided_ms: int = 0
    mode: str = "initial"
    reason: str = ""
    answer: str = ""  # applied, stale, refused, expired; "" while unanswered
    answered_ms: int | None = None
    switches_ms: list[int] = []
    advised_ms: int = 0
    advised_weights: dict[str, int] = {}
    # What a shop that called us stale has seen: our state was restored from a backup.
    shop_epoch: int = 0
    locked: dict[str, str] = {}
    drained: dict[str, str] = {}


class Controller:
    """Routing of one scope; mutable state in `route`, changed only through `apply`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.route = RouteState()
        self._observed: dict[str, int] = {}  # shares before the first decision, for display alike

    def weights(self, channels: Sequence[str]) -> dict[str, int]:
        """The desired weights; before the first decision those that the orders show.

        Before the first orders the first routable channel has all.
        """
        routable = self._routable(channels)
        if self.route.weights:  # channels that the latest decision did not know have none yet
            return dict.fromkeys(routable, 0) | self.route.weights
        if self._observed:
            return dict.fromkeys(routable, 0) | self._observed
        return {name: FULL if name == routable[0] else 0 for name in routable} if routable else {}

    def decide(
        self,
        speeds: Mapping[str, ChannelSpeed],
        now_ms: int,
        *,
        asked_by: Mapping[str, str],
    ) -> SwitchDecided | None:
        """Decide a switch if a channel in use is tripped and everything else allows it.

        A silent shop looks exactly like a dead channel, so its orders trip nothing; those of the
        other shops still do, or one shop that was given up would forbid every switch for ever.

        `asked_by`: channels for which a firing rule asks for failover, with the rule's name.
        """
        current = self._in_use(speeds)
        tripped = [
            name
            for name in current
            if current[name] > 0 and _is_proven(speeds[name]) and name not in self.route.locked
        ]
        if not tripped or not self._is_allowed_now(now_ms):
            return None
        failed = tripped[0]
        target = self._better_than(speeds[failed], speeds, current)
        if target is None:
            return None
        weights = dict.fromkeys(current, 0) | {
            name: share for name, share in current.items() if share > 0 and name not in tripped
        }
        weights[target] = weights.get(target, 0) + sum(current[name] for name in tripped)
        if self._is_advised_already(weights, now_ms):
            return None
        reason = _reason(speeds[failed])
        if failed in asked_by:
            reason += f", rule {asked_by[failed]}"
        return self._decision(
            current, weights, self.settings.failover.mode, reason, speeds, now_ms,
            inflight=sum(speeds[name].open_orders for name in tripped),
        )  # fmt: skip

    def order(
        self, ordered: SwitchOrdered, speeds: Mapping[str, ChannelSpeed], now_ms: int
    ) -> SwitchDecided:
        """A person's switch: always a new epoch, whatever the mode."""
        current = self.weights(list(speeds))
        weights = dict.fromkeys(current, 0) | ordered.weights
        reason = f"{ordered.reason} (by {ordered.actor})"
        return self._decision(current, weights, "manual", reason, speeds, now_ms, inflight=0)

    def without(self, channel: str, speeds: Mapping[str, ChannelSpeed]) -> dict[str, int] | None:
        """Weights after taking a channel out; None if it has none or nothing could replace it."""
        current = self.weights(list(speeds))
        share = current.get(channel, 0)
        others = [name for name in current if name != channel and name not in self.route.drained]
        if not share or not others:
            return None
        target = min(others, key=lambda name: (speeds[name].is_tripped, -current[name]))
        return current | {channel: 0, target: current[target] + share}

    def apply(self, decided: SwitchDecided) -> None:
        """Make a decision the route, or remember that it was advised."""
        if decided.mode in ("observe", "advise"):
            self.route.advised_ms = decided.at_ms
            self.route.advised_weights = dict(decided.weights)
            return
        route = self.route
        route.epoch, route.weights = decided.epoch, dict(decided.weights)
        route.decision_id, route.decided_ms = decided.decision_id, decided.at_ms
        route.mode, route.reason = decided.mode, decided.reason
        route.answer, route.answered_ms = "", None
        if decided.mode == "enforce":
            recent = [at_ms for at_ms in route.switches_ms if decided.at_ms - at_ms < HOUR_MS]
            route.switches_ms = [*recent, decided.at_ms]

    def answered(self, answer: SwitchAnswered) -> bool:
        """Note the shop's answer to the current epoch; False for an outdated one."""
        if answer.epoch != self.route.epoch or self.route.answer == "applied":
            return False
        if answer.status == "stale" and answer.applied_epoch is not None:
            self.route.shop_epoch = answer.applied_epoch
        self.route.answer, self.route.answered_ms = answer.status, answer.at_ms
        return True

    def steer(self, steered: ChannelSteered) -> None:
        """A person drains, locks or unlocks a channel."""
        if steered.action == "unlock":
            self.route.locked.pop(steered.channel, None)
            self.route.drained.pop(steered.channel, None)
        elif steered.action == "lock":
            self.route.locked[steered.channel] = steered.reason or steered.actor
        else:
            self.route.drained[steered.channel] = steered.reason or steered.actor

    def is_stopped(self, channel: str) -> bool:
        """Whether a person has drained or locked the channel: it gets no new order from us."""
        return channel in self.route.drained or channel in self.route.locked

    def _in_use(self, speeds: Mapping[str, ChannelSpeed]) -> dict[str, int]:
        """Weights as they are; before the first command the shop spreads its orders as it likes."""
        self._observed = {}
        weights = self.weights(list(speeds))
        used = [name for name in weights if speeds[name].n or speeds[name].open_orders]
        if self.route.weights or not used:
            return weights
        share, rest = divmod(FULL, len(used))
        self._observed = {name: share + (index < rest) for index, name in enumerate(used)}
        return dict.fromkeys(weights, 0) | self._observed

    def _is_advised_already(self, weights: Mapping[str, int], now_ms: int) -> bool:
        """Whether people were told just this not long ago; a long outage is one piece of advice."""
        if self.settings.failover.mode == "enforce":
            return False
        is_recent = now_ms - self.route.advised_ms < ADVISE_AGAIN_MS
        return is_recent and self.route.advised_weights == weights

    def _is_allowed_now(self, now_ms: int) -> bool:
        failover, route = self.settings.failover, self.route
        latest_ms = max(route.decided_ms, route.advised_ms)
        if latest_ms and now_ms - latest_ms < failover.min_dwell_ms:
            return False
        recent = [at_ms for at_ms in route.switches_ms if now_ms - at_ms < HOUR_MS]
        return len(recent) < failover.max_per_hour

    def _better_than(
        self,
        failed: ChannelSpeed,
        speeds: Mapping[str, ChannelSpeed],
        current: Mapping[str, int],
    ) -> str | None:
        """The best channel that is not known to be as bad: in use first, then as configured."""
        candidates = [
            name
            for name in sorted(current, key=lambda name: -current[name])
            if name != failed.channel
            and not speeds[name].is_tripped
            and name not in self.route.locked
            and name not in self.route.drained
            and (speeds[name].slow_share or 0.0) < (failed.slow_share or 0.0)
        ]
        return candidates[0] if candidates else None

    def _routable(self, channels: Sequence[str]) -> list[str]:
        unrouted = {one.name for one in self.settings.channels if one.kind in UNROUTED_KINDS}
        return [name for name in channels if name not in unrouted]

    def _decision(
        self,
        previous: dict[str, int],
        weights: dict[str, int],
        mode: str,
        reason: str,
        speeds: Mapping[str, ChannelSpeed],
        now_ms: int,
        *,
        inflight: int,
    ) -> SwitchDecided:
        epoch = self.route.epoch
        if mode in ("enforce", "manual"):
            epoch = max(epoch, self.route.shop_epoch) + 1
        return SwitchDecided(
            decision_id=derived_id("dec", ALL_ORDERS, str(epoch), mode, str(now_ms)),
            scope=ALL_ORDERS,
            epoch=epoch,
            prev_epoch=self.route.epoch,
            weights=weights,
            previous=previous,
            reason=reason,
            mode=mode,
            evidence=msgspec.Raw(msgspec.json.encode({"channels": dict(speeds)})),
            at_ms=now_ms,
            valid_until_ms=now_ms + self.settings.failover.valid_for_ms,
            inflight=inflight,
        )


def _reason(tripped: ChannelSpeed) -> str:
    """Why a channel tripped: its chart is in alarm, or without one only a streak can have.

    An alarm outlasts a ratio over 1 for a while; then too few slow orders tell that it was no streak.
    """
    is_alarm = tripped.cusum_ratio is not None and tripped.cusum_ratio > 1
    return "stalled" if is_alarm or tripped.slow < STREAK else "four_slow_in_a_row"


def _is_proven(speed: ChannelSpeed) -> bool:
    return speed.is_tripped and not speed.rests_on_silence
