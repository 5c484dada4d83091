"""The payment gateways by kind. A new one is one module beside this and one line in `GATEWAYS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from monitor.adapters.gateways.alipay import alipay
from monitor.adapters.gateways.bepusdt import bepusdt
from monitor.adapters.gateways.epusdt import epusdt
from monitor.adapters.gateways.key_checks import unusable
from monitor.adapters.gateways.vpay import vpay
from monitor.adapters.gateways.wechat import wechat
from monitor.adapters.gateways.wechat_v2 import wechat_v2
from monitor.adapters.gateways.yipay import yipay
from monitor.model.gateways import Gateway, GatewayKeys

__all__ = ["GATEWAYS", "unusable"]

GATEWAYS: Mapping[str, Callable[[GatewayKeys], Gateway]] = MappingProxyType(
    {
        "alipay": alipay,
        "bepusdt": bepusdt,
        "epusdt": epusdt,
        "vpay": vpay,
        "wechat": wechat,
        "wechat_v2": wechat_v2,
        "yipay": yipay,
    }
)
