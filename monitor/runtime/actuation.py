"""What must never be asked of the outside, looked at once more before it leaves.

    effect ─► allowed? ──yes──► performed
                 └── no: actions stop until a restart; orders go to people, events are still taken

The core cannot ask for any of this, so a finding is a bug of ours. It is not worth a dead monitor:
ingest, alerts and answers go on, but nothing is bought, claimed, handed over or switched any more.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable

from monitor.model.effects import (
    Claim,
    Compensate,
    Effect,
    HandOver,
    Refund,
    Submit,
    SwitchChannel,
)
from monitor.model.errors import Permanent

log = logging.getLogger("monitor.actuation")

REMEMBERED_MAX = 10_000  # attempts and orders, the latest; a repeat comes soon if at all


class Actuation:
    """Remembers what left this process; `stopped` says why nothing more may, None while it may."""

    def __init__(self) -> None:
        self.stopped: str | None = None
        self._epoch = 0
        self._switch = b""
        self._submitted = _Latest()
        self._claimed = _Latest()
        self._handed = _Latest()
        self._refunded = _Latest()

    def allow(self, effect: Effect) -> None:
        """Return if an effect may leave; remembers it.

        Raises: Permanent for an action after the first impossible one, and for that one.
        """
        if not isinstance(effect, (Claim, Compensate, HandOver, Refund, Submit, SwitchChannel)):
            return
        if self.stopped is None:
            self.stopped = self._impossible(effect)
            if self.stopped is not None:
                fields = {"reason": self.stopped, "effect": effect.key}
                log.critical("actuation_stopped", extra={"fields": fields})
        if self.stopped is not None:
            raise Permanent(
                f"actions are stopped: {self.stopped}",
                code="actuation_stopped",
                hint="deliver by hand, restart the service, and report this with its log",
            )

    def _impossible(
        self, effect: Claim | Compensate | HandOver | Refund | Submit | SwitchChannel
    ) -> str | None:
        match effect:
            case SwitchChannel():
                return self._wrong_epoch(effect)
            case Submit():
                if self._submitted.swap(effect.key, effect.attempt_ref) is not None:
                    return f"attempt {effect.attempt_ref} was to be submitted twice"
            case Claim():
                before = self._claimed.swap(effect.order_id, effect.fence)
                if isinstance(before, int) and before > effect.fence:
                    return f"order {effect.order_id} was to be claimed under an older fence"
            case HandOver():
                before = self._handed.swap(effect.takeover_id, effect.attempt_ref)
                if before not in (None, effect.attempt_ref):
                    return f"takeover {effect.takeover_id} was to hand over twice"
                if self._refunded.holds(effect.order_id):
                    return f"order {effect.order_id} was to be delivered after its refund"
            case Refund():
                before = self._refunded.swap(effect.order_id, effect.action_id)
                if before not in (None, effect.action_id):
                    return f"order {effect.order_id} was to be refunded twice"
            case Compensate():
                pass
        return None

    def _wrong_epoch(self, effect: SwitchChannel) -> str | None:
        """Epochs only rise, and one epoch means one thing."""
        payload = bytes(effect.payload)
        if effect.epoch < self._epoch:
            return f"a switch of epoch {effect.epoch} after one of epoch {self._epoch}"
        if effect.epoch == self._epoch and payload != self._switch:
            return f"epoch {effect.epoch} was to mean two things"
        self._epoch, self._switch = effect.epoch, payload
        return None


class _Latest:
    """The latest values by key; the oldest give way."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Hashable] = OrderedDict()

    def holds(self, key: str) -> bool:
        """Whether a key was put in lately."""
        return key in self._values

    def swap(self, key: str, value: Hashable) -> Hashable | None:
        """Put a value in and return the one before, None if there was none."""
        before = self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > REMEMBERED_MAX:
            self._values.popitem(last=False)
        return before
