"""Every scheme by which a sender proves itself: one good request each, made without the product.

A line of `SCHEMES` is enough for `tests/property/test_schemes.py` to turn every bit of it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
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


def _dujiao_next() -> Scheme:
    body = b'{"event":"order.status_changed","order_no":"D1","status":"paid"}'
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    proof = mac(f"POST\n/api/v1/upstream/callback\n{NOW_S}\n{md5}".encode()).hex()
    request = posted(body, Dujiao_Next_Timestamp=NOW_S, Dujiao_Next_Signature=proof)
    covered = ("Dujiao-Next-Timestamp", "Dujiao-Next-Signature")
    return Scheme("dujiao-next", adapter("dujiao-next", SECRET), request, covered)


def _acg_faka() -> Scheme:
    text = "amount=9.90&status=1&trade_no=123260105100000456"
    sign = hashlib.md5(f"{text}&key={SECRET}".encode(), usedforsecurity=False).hexdigest()
    request = posted(f"{text}&sign={sign}".encode())
    return Scheme("acg-faka", adapter("acg-faka", SECRET), request, ())


def _keygen() -> Scheme:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    body = b'{"data":{"attributes":{"event":"license.expired","payload":"{}"}}}'
    digest = f"sha-256={in_base64(hashlib.sha256(body).digest())}"
    date = format_datetime(datetime.fromtimestamp(NOW_MS // 1_000, UTC), usegmt=True)
    signed = f"(request-target): post /hooks/main\nhost: m.example\ndate: {date}\ndigest: {digest}"
    proof = in_base64(key.sign(signed.encode()))
    names = "(request-target) host date digest"
    header = f'algorithm="ed25519", signature="{proof}", headers="{names}"'
    request = posted(body, Host="m.example", Date=date, Digest=digest, Keygen_Signature=header)
    covered = ("Host", "Date", "Digest", "Keygen-Signature")
    return Scheme("keygen", adapter("keygen", public.hex()), request, covered)


def _saleor() -> Scheme:
    body = b'[{"id":"T3JkZXI6MQ=="}]'
    request = posted(body, Saleor_Event="order_created", Saleor_Signature=mac(body).hex())
    return Scheme("saleor", adapter("saleor", SECRET), request, ("Saleor-Signature",))


def _saleor_jws() -> Scheme:
    """A key of 1,024 bits: each bit of the proof is tried, and only the form is looked at here."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
    numbers = key.public_key().public_numbers()
    n, e = (in_base64url(one.to_bytes(-(-one.bit_length() // 8))) for one in (numbers.n, numbers.e))
    keys = f'{{"keys":[{{"kty":"RSA","n":"{n}","e":"{e}","use":"sig","kid":"1"}}]}}'
    body = b'[{"id":"A"}]'
    head = in_base64url(b'{"alg":"RS256","b64":false,"kid":"1"}')
    proof = in_base64url(key.sign(f"{head}.".encode() + body, PKCS1v15(), SHA256()))
    request = posted(body, Saleor_Event="order_created", Saleor_Signature=f"{head}..{proof}")
    return Scheme("saleor jws", adapter("saleor", keys), request, ("Saleor-Signature",))


def in_base64url(raw: bytes) -> str:
    """Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


SCHEMES: tuple[Callable[[], Scheme], ...] = (
    _woocommerce,
    _shopify,
    _stripe,
    _paddle,
    _lemonsqueezy,
    _standard_v1,
    _standard_v1a,
    _dujiao_next,
    _acg_faka,
    _keygen,
    _saleor,
    _saleor_jws,
)
