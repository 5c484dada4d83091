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
    """Remembers which gateway called when, and about which orders it should call again."""

    def __init__(self, inquiries: Inquiries, clock: Clock) -> None:
        self._inquiries = inquiries
        self._clock = clock
        self._called_ms: dict[str, int] = {}
        self._waiting: dict[tuple[str, str], int] = {}  # (gateway, order) -> pushed at

    def heard(self, name: str, callback: Callback) -> None:
        """A gateway called: its number of the order is known now, and a payment can be checked.

        To be told of every callback, whatever its signature: what is forged must be checked too.
        """
        now_ms = self._clock.now_ms()
        if callback.signature != Signature.INVALID:
            self._called_ms[name] = now_ms
            self._note(name, callback, now_ms)
        if not callback.order_id:
            return
        inquiry = Inquiry(callback.order_id, callback.trade_no)
        self._inquiries.told(name, inquiry)
        if callback.meaning == Meaning.PAID:
            self._inquiries.check(name, inquiry, now_ms)

    def is_pushing(self, name: str) -> bool | None:
        """Whether a gateway that calls about waiting orders still does; None if it never called."""
        called_ms, now_ms = self._called_ms.get(name), self._clock.now_ms()
        if called_ms is None:
            return None
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
