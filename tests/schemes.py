"""Every scheme by which a sender proves itself: one good request each, made without the product.

A line of `SCHEMES` is enough for `tests/property/test_schemes.py` to turn every bit of it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from monitor.adapters.shops import PUSHES
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.shops.push import Push
from monitor.model.endpoints import ShopSource
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest

NOW_MS = 1_790_000_000_000
NOW_S = str(NOW_MS // 1_000)
SECRET = "a-secret-of-24-characters"
ROTATED = Secret("another-secret-that-goes-first")


class Scheme(msgspec.Struct, frozen=True):
    """A request that is proven. Of the values of `covered` headers every bit matters."""

    name: str
    push: Push
    request: RawRequest
    covered: tuple[str, ...]


def adapter(kind: str, *secrets: str) -> Push:
    """The adapter of a kind, with a secret that is no longer in use before those given."""
    naming = Naming(lambda text: f"c:{len(text)}", lambda text: f"g:{len(text)}")
    facts = Facts("main", naming, timezone="Asia/Shanghai", currency="CNY")
    held = (ROTATED, *map(Secret, secrets))
    return PUSHES[kind](ShopSource("main", kind, held), facts)


def posted(body: bytes, /, received_ms: int = NOW_MS, **headers: str) -> RawRequest:
    """A request of a sender; `_` in the name of a header stands for `-`."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return RawRequest("POST", "/hooks/main", named, body, received_ms)


def mac(signed: bytes, secret: str = SECRET) -> bytes:
    """HMAC-SHA256, by the standard library."""
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


def in_base64(raw: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(raw).decode("ascii")


def _woocommerce() -> Scheme:
    body = b'{"id":7,"status":"processing"}'
    request = posted(
        body, X_WC_Webhook_Resource="order", X_WC_Webhook_Signature=in_base64(mac(body))
    )
    return Scheme(
        "woocommerce", adapter("woocommerce", SECRET), request, ("X-WC-Webhook-Signature",)
    )


def _shopify() -> Scheme:
    body = b'{"id":7,"financial_status":"paid"}'
    request = posted(
        body, X_Shopify_Topic="orders/paid", X_Shopify_Hmac_Sha256=in_base64(mac(body))
    )
    return Scheme("shopify", adapter("shopify", SECRET), request, ("X-Shopify-Hmac-Sha256",))


def _stripe() -> Scheme:
    body, secret = b'{"id":"e","type":"t","created":1,"data":{"object":{}}}', f"whsec_{SECRET}"
    header = f"t={NOW_S},v1={mac(f'{NOW_S}.'.encode() + body, secret).hex()}"
    request = posted(body, Stripe_Signature=header)
    return Scheme("stripe", adapter("stripe", secret), request, ("Stripe-Signature",))


def _paddle() -> Scheme:
    body = b'{"event_type":"t","occurred_at":"2026-01-05T02:00:00Z","data":{}}'
    secret = f"pdl_ntfset_{SECRET}"
    header = f"ts={NOW_S};h1={mac(f'{NOW_S}:'.encode() + body, secret).hex()}"
    request = posted(body, Paddle_Signature=header)
    return Scheme("paddle", adapter("paddle", secret), request, ("Paddle-Signature",))


def _lemonsqueezy() -> Scheme:
    body = b'{"meta":{"event_name":"order_created"},"data":{"id":"1","attributes":{}}}'
    request = posted(body, X_Signature=mac(body).hex())
    return Scheme("lemonsqueezy", adapter("lemonsqueezy", SECRET), request, ("X-Signature",))


def _standard(version: str, signed_by: Callable[[bytes], bytes], secret: str) -> Scheme:
    body = b'{"type":"order.paid","data":{"order_id":"A1"}}'
    signature = f"{version},{in_base64(signed_by(f'msg_1.{NOW_S}.'.encode() + body))}"
    request = posted(body, webhook_id="msg_1", webhook_timestamp=NOW_S, webhook_signature=signature)
    covered = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return Scheme(
        f"standard webhooks {version}", adapter("standard_webhooks", secret), request, covered
    )


def _standard_v1() -> Scheme:
    return _standard("v1", mac, SECRET)


def _standard_v1a() -> Scheme:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _standard("v1a", key.sign, f"whpk_{in_base64(public)}")


SCHEMES: tuple[Callable[[], Scheme], ...] = (
    _woocommerce,
    _shopify,
    _stripe,
    _paddle,
    _lemonsqueezy,
    _standard_v1,
    _standard_v1a,
)
