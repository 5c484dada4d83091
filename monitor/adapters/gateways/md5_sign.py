"""The MD5 signature of 易支付 and epusdt: fields that are not empty, sorted, joined, and the key.

    md5("a=1&b=2" + key), lower-case hex

MD5 of text and secret is weak (no HMAC, no time, replayable), and `&` inside a value is not
escaped. It is what these gateways speak: a valid one is evidence, not proof, which is why the
gateway is asked as well.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping

from monitor.adapters.gateways.fields import bytes_of
from monitor.model.gateways import GatewayKeys


def joined(fields: Mapping[str, str], left_out: Collection[str]) -> str:
    """`a=1&b=2`: what is signed, apart from the key."""
    names = sorted(name for name, value in fields.items() if value and name not in left_out)
    return "&".join(f"{name}={fields[name]}" for name in names)


def is_signed(text: str, offered: str, keys: GatewayKeys) -> bool:
    """Whether one of the keys makes the offered signature of a text; all are tried, in equal time."""
    found = False
    for secret in keys.secrets:
        raw = bytes_of(text) + secret.reveal().encode()
        made = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        found |= hmac.compare_digest(made.encode(), bytes_of(offered))
    return found


def has_secret(keys: GatewayKeys) -> bool:
    """Whether there is a key to check with."""
    return bool(keys.secrets)


def sorted_check(
    sign: str, left_out: Collection[str], documented: Collection[str] = ()
) -> Callable[[Mapping[str, str], GatewayKeys], bool]:
    """A check over all fields, or over the documented ones: a shop's own query may stand beside them."""

    def check(fields: Mapping[str, str], keys: GatewayKeys) -> bool:
        offered = fields.get(sign, "")
        own = {name: value for name, value in fields.items() if name in documented}
        found = is_signed(joined(fields, left_out), offered, keys)
        return found | (bool(documented) and is_signed(joined(own, left_out), offered, keys))

    return check
