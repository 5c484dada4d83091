"""What gateways say by themselves, passed on to who asks them and who watches their listeners."""

from __future__ import annotations

from monitor.core.inquiries import WAITING_MAX, Inquiries
from monitor.model.gateways import Callback, Inquiry, Meaning, Signature
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.ports import Clock

# BEpusdt looks for waiting orders every 30 s and pushes each once a minute: 90 s at most.
PUSH_GAP_MS = 92 * SECOND_MS
FORGET_MS = 10 * MINUTE_MS  # its one push of `expired` may have been lost


class GatewayEar:
    """Remembers which gateway called when, and about which orders it should call again.

    `inquiries` are those of the configuration in force; what was heard outlives it.
    """

    def __init__(self, inquiries: Inquiries, clock: Clock) -> None:
        self.inquiries = inquiries
        self._clock = clock
        self._called_ms: dict[str, int] = {}
        self._waiting: dict[tuple[str, str], int] = {}  # (gateway, order) -> pushed at

    def heard(self, name: str, callback: Callback) -> None:
        """A gateway called: its number of the order is known now, and a payment can be checked.

        A signature that is wrong is nobody's word: nothing rests on it, so there is nothing to check.
        """
        if callback.signature is Signature.INVALID:
            return
        now_ms = self._clock.now_ms()
        self._called_ms[name] = now_ms
        self._note(name, callback, now_ms)
        if not callback.order_id:
            return
        is_signed = callback.signature is Signature.VALID
        inquiry = Inquiry(callback.order_id, callback.trade_no, is_signed)
        self.inquiries.told(name, inquiry)
        if callback.meaning == Meaning.PAID:
            self.inquiries.check(name, inquiry, now_ms)

    def is_pushing(self, name: str) -> bool:
        """Whether a gateway that calls about waiting orders still does, as far as we were told of any."""
        called_ms, now_ms = self._called_ms.get(name, 0), self._clock.now_ms()
        if now_ms - called_ms <= PUSH_GAP_MS:
            return True
        return not any(
            now_ms - pushed_ms <= FORGET_MS
            for (gateway, _), pushed_ms in self._waiting.items()
            if gateway == name
        )

    def _note(self, name: str, callback: Callback, now_ms: int) -> None:
        key = (name, callback.order_id)
        self._waiting.pop(key, None)
        if callback.meaning == Meaning.WAITING and callback.order_id:
            self._waiting[key] = now_ms
            while len(self._waiting) > WAITING_MAX:
                del self._waiting[next(iter(self._waiting))]
