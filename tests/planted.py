"""What every sender sends, with a card secret wherever its shop could put one; signed as it signs.

A line of `PLANTED` is enough for `tests/security/test_hook_canaries.py` to look for the secret
everywhere. Each order is paid and delivered, so that it is traced as well.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.schemes import SECRET, in_base64, mac


class Sent(NamedTuple):
    """One request: body, headers, and what stands behind the `?` of the address."""

    body: bytes
    headers: dict[str, str]
    query: str = ""


class Sender(NamedTuple):
    """A kind of shop, its secret, and its requests with a card in them, at a time in unix seconds.

    `is_signed`: the body is; otherwise the secret is a word in the address.
    """

    kind: str
    secret: str
    sent: Callable[[str, int], tuple[Sent, ...]]
    is_signed: bool = True


def _raw(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _at(now_s: int) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _woocommerce(card: str, now_s: int) -> tuple[Sent, ...]:
    meta = [{"id": 1, "key": "license_key", "value": card, "display_value": f"<b>{card}</b>"}]
    body = _raw(
        {
            "id": 963, "status": "completed", "currency": "CNY", "total": "19.90",
            "date_created_gmt": _at(now_s - 1), "date_paid_gmt": _at(now_s - 1),
            "date_completed_gmt": _at(now_s), "payment_method": "alipay",
            "customer_note": card, "order_key": card, "transaction_id": card, "meta_data": meta,
            "line_items": [{"product_id": 5, "name": card, "quantity": 1, "meta_data": meta}],
            "license_key": card, "billing": {"email": f"{card}@example.com", "phone": card},
        }
    )  # fmt: skip
    headers = {
        "X-WC-Webhook-Resource": "order", "X-WC-Webhook-Event": "updated",
        "X-WC-Webhook-Signature": in_base64(mac(body)), "X-WC-Webhook-Source": f"http://{card}",
    }  # fmt: skip
    return (Sent(body, headers, f"token={card}"),)


def _shopify(card: str, now_s: int) -> tuple[Sent, ...]:
    at = f"{_at(now_s)}Z"
    order: dict[str, Any] = {
        "id": 450789469, "created_at": at, "updated_at": at, "currency": "USD", "total_price": "9",
        "financial_status": "paid", "fulfillment_status": "fulfilled", "email": f"{card}@shop.example",
        "note": card, "note_attributes": [{"name": "card", "value": card}], "token": card,
        "line_items": [{"sku": "s", "quantity": 1, "properties": [{"name": "kami", "value": card}]}],
        "fulfillments": [{"status": "success", "created_at": at, "receipt": {"gift_cards": [card]}}],
    }  # fmt: skip
    step = {"id": 1, "order_id": 450789469, "status": "failure", "happened_at": at, "message": card}
    refund = {"id": 2, "order_id": 450789469, "created_at": at, "note": card, "transactions": []}
    return tuple(
        Sent(
            raw,
            {
                "X-Shopify-Topic": topic, "X-Shopify-Triggered-At": at,
                "X-Shopify-Hmac-Sha256": in_base64(mac(raw)), "X-Shopify-Shop-Domain": card,
            },
        )
        for topic, raw in (
            ("orders/paid", _raw(order)),
            ("fulfillment_events/create", _raw(step)),
            ("refunds/create", _raw(refund)),
        )
    )  # fmt: skip


def _stripe(card: str, now_s: int) -> tuple[Sent, ...]:
    thing = {
        "object": "payment_intent", "amount": 1_990, "currency": "usd", "client_secret": card,
        "metadata": {"order_id": "S1", "license_key": card}, "description": card,
        "last_payment_error": {"message": card},
    }  # fmt: skip
    event = {"type": "payment_intent.succeeded", "created": now_s, "data": {"object": thing}}
    sent = []
    for name, more in (("evt_1", {}), ("evt_2", {"type": "payment_intent.payment_failed"})):
        raw = _raw({"id": name, **event, **more})
        proof = mac(f"{now_s}.".encode() + raw, f"whsec_{SECRET}").hex()
        sent.append(Sent(raw, {"Stripe-Signature": f"t={now_s},v1={proof}"}))
    return tuple(sent)


def _paddle(card: str, now_s: int) -> tuple[Sent, ...]:
    thing = {
        "id": "txn_1", "created_at": f"{_at(now_s - 1)}Z", "currency_code": "USD",
        "custom_data": {"card": card}, "customer_id": card, "details": {"totals": {"total": "990"}},
        "items": [{"quantity": 1, "price": {"product_id": "pro_1", "name": card}}],
        "payments": [{"status": "captured", "captured_at": f"{_at(now_s)}Z",
                      "method_details": {"type": "card", "card": {"cardholder_name": card}}}],
    }  # fmt: skip
    raw = _raw(
        {"event_type": "transaction.completed", "occurred_at": f"{_at(now_s)}Z", "data": thing}
    )
    proof = mac(f"{now_s}:".encode() + raw, f"pdl_ntfset_{SECRET}").hex()
    return (Sent(raw, {"Paddle-Signature": f"ts={now_s};h1={proof}"}),)


def _lemonsqueezy(card: str, now_s: int) -> tuple[Sent, ...]:
    at = f"{_at(now_s)}Z"
    order = {"status": "paid", "total": 990, "currency": "USD", "created_at": at,
             "user_email": f"{card}@x.example", "user_name": card, "urls": {"receipt": card}}  # fmt: skip
    key = {"order_id": 7, "key": card, "key_short": card, "created_at": at, "user_name": card}
    bodies = (
        {"meta": {"event_name": "order_created", "custom_data": {"card": card}},
         "data": {"id": "7", "attributes": order}},
        {"meta": {"event_name": "license_key_created"}, "data": {"id": "1", "attributes": key}},
    )  # fmt: skip
    return tuple(Sent(_raw(body), {"X-Signature": mac(_raw(body)).hex()}) for body in bodies)


def _standard_webhooks(card: str, now_s: int) -> tuple[Sent, ...]:
    sent = []
    for number, kind in enumerate(("order.paid", "delivery.delivered")):
        data = {"order_id": "W1", "quantity": 1, "goods": card, "kami": card, "note": card,
                "customer_hash": card, "reason": f"{card}@example.com"}  # fmt: skip
        raw = _raw({"type": kind, "timestamp": f"{_at(now_s + number)}Z", "data": data})
        proof = in_base64(mac(f"msg_{number}.{now_s}.".encode() + raw))
        sent.append(
            Sent(
                raw,
                {"webhook-id": f"msg_{number}", "webhook-timestamp": str(now_s),
                 "webhook-signature": f"v1,{proof}"},
            )
        )  # fmt: skip
    return tuple(sent)


WORD = "a-word-of-24-characters_"


def _gumroad(card: str, now_s: int) -> tuple[Sent, ...]:
    form = {"resource_name": "sale", "order_number": "537", "sale_timestamp": f"{_at(now_s)}Z",
            "price": "990", "currency": "usd", "email": f"{card}@x.example", "license_key": card,
            "full_name": card, "custom_fields[kami]": card, "url_params[card]": card}  # fmt: skip
    return (Sent(urlencode(form).encode(), {}, f"token={WORD}"),)


def _dujiaoka(card: str, now_s: int) -> tuple[Sent, ...]:
    told = {"title": card, "order_sn": "DJ1", "email": f"{card}@x.example", "actual_price": "9.90",
            "order_info": card, "good_id": 3, "gd_name": card}  # fmt: skip
    return (Sent(_raw(told), {}, f"token={WORD}"),)


def _dujiao_next(card: str, now_s: int) -> tuple[Sent, ...]:
    sent = []
    for status in ("paid", "delivered"):
        handed = {"type": "auto", "status": "delivered", "payload": card, "delivery_data": {"k": card},
                  "delivered_at": f"{_at(now_s)}Z"}  # fmt: skip
        raw = _raw({"event": "order.status_changed", "order_no": "DN1", "status": status,
                    "fulfillment": handed, "timestamp": now_s})  # fmt: skip
        md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        signed = f"POST\n/api/v1/upstream/callback\n{now_s}\n{md5}".encode()
        proof = {"Dujiao-Next-Timestamp": str(now_s), "Dujiao-Next-Signature": mac(signed).hex()}
        sent.append(Sent(raw, proof | {"Dujiao-Next-Api-Key": card}))
    return tuple(sent)


def _acg_faka(card: str, now_s: int) -> tuple[Sent, ...]:
    at = _at(now_s).replace("T", " ")
    row = {"amount": "9.90", "commodity_id": "4", "contact": card, "create_time": at,
           "delivery_status": "1", "pay_time": at, "secret": card, "status": "1",
           "trade_no": "123260105100000456"}  # fmt: skip
    text = "&".join(f"{name}={value}" for name, value in sorted(row.items()))
    sign = hashlib.md5(f"{text}&key={SECRET}".encode(), usedforsecurity=False).hexdigest()
    return (Sent(urlencode(row | {"sign": sign}).encode(), {}),)


def _keygen(card: str, now_s: int) -> tuple[Sent, ...]:
    licence = {"id": "lic-1", "attributes": {"key": card, "name": card, "created": f"{_at(now_s)}Z",
               "metadata": {"order_id": "KG1", "card": card}}}  # fmt: skip
    told = {"event": "license.created", "payload": json.dumps({"data": licence})}
    raw = _raw({"data": {"id": "e", "attributes": told}})
    digest = f"sha-256={in_base64(hashlib.sha256(raw).digest())}"
    date = format_datetime(datetime.fromtimestamp(now_s, UTC), usegmt=True)
    signed = f"(request-target): post /hooks/keygen\ndate: {date}\ndigest: {digest}"
    proof = in_base64(KEYGEN.sign(signed.encode()))
    names = "(request-target) date digest"
    header = f'keyid="{card}", algorithm="ed25519", signature="{proof}", headers="{names}"'
    return (Sent(raw, {"Date": date, "Digest": digest, "Keygen-Signature": header}),)


def _saleor(card: str, now_s: int) -> tuple[Sent, ...]:
    order = {"id": "T3JkZXI6MQ==", "number": "SA1", "created": f"{_at(now_s)}Z",
             "total_gross_amount": "9.90", "currency": "USD", "user_email": f"{card}@x.example",
             "metadata": {"license_key": card}, "lines": [{"product_sku": "s", "quantity": 1,
             "product_name": card}], "fulfillments": [{"created": f"{_at(now_s)}Z"}],
             "meta": {"issued_at": f"{_at(now_s)}Z"}}  # fmt: skip
    raw = _raw([order])
    proof = {"Saleor-Signature": mac(raw).hex(), "Saleor-Domain": card}
    return tuple(
        Sent(raw, proof | {"Saleor-Event": name})
        for name in ("order_fully_paid", "order_fulfilled")
    )


KEYGEN = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = KEYGEN.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

PLANTED = (
    Sender("woocommerce", SECRET, _woocommerce),
    Sender("shopify", SECRET, _shopify),
    Sender("stripe", f"whsec_{SECRET}", _stripe),
    Sender("paddle", f"pdl_ntfset_{SECRET}", _paddle),
    Sender("lemonsqueezy", SECRET, _lemonsqueezy),
    Sender("standard_webhooks", SECRET, _standard_webhooks),
    Sender("gumroad", WORD, _gumroad, is_signed=False),
    Sender("dujiaoka", WORD, _dujiaoka, is_signed=False),
    Sender("dujiao-next", SECRET, _dujiao_next),
    Sender("acg-faka", SECRET, _acg_faka),
    Sender("keygen", _PUBLIC, _keygen),
    Sender("saleor", SECRET, _saleor),
)
