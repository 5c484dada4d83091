"""What an event says of a buyer: kept under another name, masked in free text."""

import json

import pytest

from monitor.api.decode import DecodeContext, decode
from monitor.model.events import OrderEvent


def decoded(**fields: object) -> OrderEvent:
    context = DecodeContext(
        1_790_000_000_000, "default", {}, name_customer=lambda text: f"<{text}>"
    )
    event = {"type": "delivery.failed", "order_id": "A1", **fields}
    (found,) = decode(json.dumps(event).encode(), "application/json", {}, context).events
    return found


@pytest.mark.parametrize(
    "more", [{"id": "e1", "time": "2026-01-05T02:00:00Z"}, {"reason": "x"}, {"note": "unknown"}, {}]
)
def test_customer_is_named_on_every_way_through(more: dict[str, object]) -> None:
    """The quick way, the one for a single odd event, and the careful one."""
    assert decoded(customer_hash="13800138000", **more).customer_hash == "<13800138000>"


def test_id_made_of_content_does_not_depend_on_the_customer() -> None:
    """Else whoever has it could try out every number; a sku still makes a difference."""
    ids = {decoded(customer_hash=one, time="2026-01-05T02:00:00Z").event_id for one in "ab"}
    assert len(ids) == 1
    assert decoded(sku="gold", time="2026-01-05T02:00:00Z").event_id not in ids


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("no such user: Buyer.One+x@mail.example.com (550)", "no such user: *** (550)"),
        ('{"to":"买家@例子.cn"}', '{"to":"***"}'),
        ("call 13800138000 or 15912345678", "call *** or ***"),
        ("order 2026010513800138000123 timed out after 30000 ms", None),
        ("HTTP 502 from 10.0.0.7:8080", None),
        ("@channel: a @ b", None),
    ],
)
def test_free_text_loses_addresses_and_numbers(reason: str, kept: str | None) -> None:
    """E-mail and mobile numbers are masked; order numbers, codes and addresses of machines stay."""
    assert decoded(reason=reason).reason == (reason if kept is None else kept)


def test_address_across_the_cut_is_masked() -> None:
    """Cutting first would leave the beginning of it behind."""
    assert "buyer" not in (decoded(reason="x " * 125 + "buyer-one@example.com").reason or "")
