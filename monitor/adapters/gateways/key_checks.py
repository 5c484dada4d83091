"""Keys that no callback of a kind of gateway could ever be checked with."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.adapters.gateways.rsa import public_key
from monitor.adapters.gateways.wechat import KEY_BYTES
from monitor.model.gateways import GatewayKeys


def unusable(kind: str, keys: GatewayKeys) -> Iterator[tuple[str, str, str]]:
    """Which of `secrets` and `public_keys` cannot be used, a text that completes "<key> …", a hint."""
    for text in keys.public_keys:
        try:
            public_key(text)
        except ValueError as error:
            yield "public_keys", f" {error}", ""
    if kind == "wechat" and any(len(one.reveal().encode()) != KEY_BYTES for one in keys.secrets):
        yield "secrets", f" must be the APIv3 key: {KEY_BYTES} characters", ""
    if kind == "alipay" and keys.secrets:
        hint = "name the gateway's key in public_key_file"
        yield "secrets", ": alipay signs with its own key", hint
