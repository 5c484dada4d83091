"""What an engine did on its way through a story or a recording: moves, messages and actions.

It reads the commands that `Engine.handle` gives back and needs nothing else, so that rule tests
and back-tests count the same things the same way.
"""

from __future__ import annotations

import msgspec

from monitor.model.alerts import Alert, AlertState
from monitor.model.commands import Command, Decide, Perform
from monitor.model.effects import Notify
from monitor.model.ids import ALL_ORDERS
from monitor.model.records import AlertMoved, Breached, CaseMoved, SwitchDecided
from monitor.model.rules import RuleSet
from monitor.model.takeovers import CaseState

# Modes in which a switch is only told, not done.
_ONLY_TOLD = ("observe", "advise")


class Sent(msgspec.Struct, frozen=True):
    """A message to one receiver, however many integrations it has; `rule` is empty without one."""

    at_ms: int
    receiver: str
    event: str
    status: str
    rule: str


class Acted(msgspec.Struct, frozen=True):
    """Something that was carried out, or, with `is_advice`, only told to people.

    `type`: failover (`target` is the channel that was left), manual_review (the channel whose new
    orders go to people, `*` for all), takeover (the order). `rule` is the rule that asked, if any.
    """

    at_ms: int
    type: str
    target: str
    rule: str = ""
    is_advice: bool = False


class _Payload(msgspec.Struct):
    """The one field of an alert message that is counted by."""

    rule: str = ""


class Ledger:
    """Everything worth counting, in the order in which it happened."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.moves: list[AlertMoved] = []
        self.breaches: list[tuple[int, str]] = []  # (at_ms, channel)
        self.sent: list[Sent] = []
        self.acted: list[Acted] = []
        self._causes: dict[tuple[str, str], None] = {}
        self._reviewing: dict[str, dict[str, None]] = {}  # target -> keys of firing alerts

    def take(self, command: Command) -> None:
        """Note what a command says."""
        if isinstance(command, Perform):
            if isinstance(command.effect, Notify):
                self._note_message(command.effect)
        elif isinstance(command, Decide):
            match command.decision:
                case Breached(_, at_ms, channel):
                    self.breaches.append((at_ms, channel))
                case AlertMoved() as moved:
                    self.moves.append(moved)
                    self._note_review(moved)
                case SwitchDecided() as decided:
                    self._note_switch(decided)
                case CaseMoved(case, at_ms) if case.changed_ms == case.opened_ms:
                    is_advice = case.state == CaseState.ADVISED
                    self.acted.append(Acted(at_ms, "takeover", case.order_id, "", is_advice))
                case _:
                    pass

    def _note_message(self, effect: Notify) -> None:
        """Count a message once, although every integration of its receiver gets its own copy."""
        cause = effect.receiver, effect.key.removesuffix(f"/{effect.integration}")
        if cause in self._causes:
            return
        self._causes[cause] = None
        is_alert = effect.event_type.startswith("alert.")
        rule = msgspec.json.decode(effect.payload, type=_Payload).rule if is_alert else ""
        self.sent.append(
            Sent(effect.at_ms, effect.receiver, effect.event_type, effect.status, rule)
        )

    def _note_review(self, moved: AlertMoved) -> None:
        """Review goes on with the first alert that asks for it, and off with the last."""
        alert = moved.alert
        target = _channel_of(alert)
        asking = self._reviewing.setdefault(target, {})
        if alert.state != AlertState.FIRING:
            asking.pop(alert.key, None)
        elif self._asks_review(alert.rule) and alert.key not in asking:
            if not asking:
                self.acted.append(Acted(moved.at_ms, "manual_review", target, alert.rule))
            asking[alert.key] = None

    def _asks_review(self, name: str) -> bool:
        return any(
            rule.alert == name
            and rule.mode != "shadow"
            and any(action.type == "manual_review" for action in rule.actions)
            for rule in self.rules.rules
        )

    def _note_switch(self, decided: SwitchDecided) -> None:
        is_advice = decided.mode in _ONLY_TOLD
        _, _, rule = decided.reason.partition(", rule ")
        for channel, before in decided.previous.items():
            if decided.weights.get(channel, 0) < before:
                self.acted.append(Acted(decided.at_ms, "failover", channel, rule, is_advice))


def _channel_of(alert: Alert) -> str:
    return dict(alert.labels).get("channel", ALL_ORDERS)
