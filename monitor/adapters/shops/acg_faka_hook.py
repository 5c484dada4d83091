"""An order of acg-faka as a signed form or JSON, by a plug-in that signs as the shop signs to others.

    status 0                    order.created
    status 1                    order.created, order.paid
    status 1, delivery_status 1 … and delivery.delivered, or a failed attempt for an apology

Fields are those of the table `order`: trade_no, amount, status, delivery_status, create_time,
pay_time, commodity_id, card_num, secret. The cards become digests here and go nowhere.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from monitor.adapters.shops.facts import When
from monitor.adapters.shops.proof import wrong
from monitor.adapters.shops.proof_more import sorted_md5
from monitor.adapters.shops.push import Push, SecretForm, decoded, strange
from monitor.model.errors import InputError
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Known, Precision, Pushed, RawRequest

_FIELDS_MAX = 200
_Scalar = str | int | float | bool | None


class AcgFakaHook(Push):
    """Reads an order as the shop's own table has it."""

    KNOWN = (
        Known("created", Precision.SECOND, "create_time"),
        Known("paid", Precision.SECOND, "pay_time"),
        Known("delivered", Precision.INFERRED, "pay_time: cards are picked in the callback"),
    )
    PATIENCE_S = 0
    SECRET = SecretForm("the app key of the shop's plug-in", r".{8,}", "8 characters and more")

    def prove(self, request: RawRequest) -> None:
        """Check the MD5 of the sorted fields: weak, but all this shop has."""
        try:
            fields = _fields(request)
        except (InputError, msgspec.ValidationError):
            raise wrong() from None  # who is not believed hears nothing of what he sent
        sorted_md5(self.secrets, fields, fields.get("sign", ""))

    def said(self, request: RawRequest) -> Pushed:
        """The facts that the row tells."""
        row, received_ms = _fields(request), request.received_ms
        order_id = row.get("trade_no")
        if not order_id:
            return strange("an order without trade_no")
        about = self._about(row)
        made = self.facts.when(row.get("create_time"), received_ms)
        events = [self.facts.event(EventType.CREATED, order_id, made, received_ms, **about)]
        if row.get("status") == "1":
            paid = self.facts.when(row.get("pay_time"), received_ms)
            events.append(self.facts.event(EventType.PAID, order_id, paid, received_ms, **about))
            if row.get("delivery_status") == "1":
                events.append(self._handed_over(row, order_id, paid, received_ms, about))
        return Pushed(tuple(events))

    def _handed_over(
        self,
        row: dict[str, str],
        order_id: str,
        paid: When | None,
        received_ms: int,
        about: dict[str, Any],
    ) -> OrderEvent:
        when = When(paid.time_ms if paid else received_ms, is_inferred=True)
        return self.facts.delivered(order_id, when, received_ms, row.get("secret"), **about)

    def _about(self, row: dict[str, str]) -> dict[str, Any]:
        count = row.get("card_num", "")
        is_count = count.isascii() and count.isdigit() and len(count) <= 6
        return {
            "sku": row.get("commodity_id"),
            "quantity": int(count) if is_count else None,
            "amount_minor": self.facts.minor(row.get("amount")),
            "currency": self.facts.currency,
        }


def _fields(request: RawRequest) -> dict[str, str]:
    """The fields of a form or of flat JSON, as PHP writes them. Raises: InputError `bad_json`."""
    body = request.body
    if body[:1] == b"{":
        flat = decoded(body, dict[str, _Scalar])
        return {name: _written(value) for name, value in flat.items()}
    try:
        pairs = parse_qsl(body.decode("utf-8", "surrogateescape"), max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise InputError("the form has too many fields", code="bad_json") from None
    return dict(pairs)


def _written(value: _Scalar) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)
