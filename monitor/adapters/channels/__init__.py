"""The delivery channels by kind. A new one is one module beside this and one line in `CHANNELS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from monitor.adapters.channels.base import DeliveryChannel, Vault
from monitor.adapters.channels.http import HttpSupplier
from monitor.adapters.channels.manual import ManualChannel
from monitor.adapters.channels.shop_retry import ShopRetryChannel
from monitor.adapters.channels.sim import SimChannel
from monitor.adapters.channels.stock import StockChannel
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import Drill, HttpChannel, ShopRetry
from monitor.model.settings import ChannelSettings

T = TypeVar("T", ShopRetry, Drill)


class Parts(msgspec.Struct, frozen=True):
    """What channels are built from; `http` is the supplier's description, None for other kinds."""

    client: HttpClient
    vault: Vault
    goods: GoodsFile
    http: HttpChannel | None = None
    settings: ChannelSettings = ChannelSettings(name="")
    own: tuple[ShopRetry | Drill, ...] = ()


def _http(parts: Parts) -> DeliveryChannel:
    assert parts.http is not None, "an http channel has its description"
    return HttpSupplier(parts.http, parts.client, parts.vault)


def _stock(parts: Parts) -> DeliveryChannel:
    return StockChannel(parts.goods, parts.settings.shared_skus)


def _manual(_parts: Parts) -> DeliveryChannel:
    return ManualChannel()


def _shop_retry(parts: Parts) -> DeliveryChannel:
    return ShopRetryChannel(_own(parts, ShopRetry), parts.client)


def _sim(parts: Parts) -> DeliveryChannel:
    return SimChannel(_own(parts, Drill), parts.vault)


def _own(parts: Parts, kind: type[T]) -> T:
    """The description of the channel that is being built."""
    name = parts.settings.name
    return next(one for one in parts.own if isinstance(one, kind) and one.name == name)


# `external` is missing on purpose: the shop delivers there itself.
CHANNELS: dict[str, Callable[[Parts], DeliveryChannel]] = {
    "http": _http,
    "stock": _stock,
    "manual": _manual,
    "shop_retry": _shop_retry,
    "sim": _sim,
}


def build_channels(
    channels: tuple[ChannelSettings, ...],
    suppliers: tuple[HttpChannel, ...],
    parts: Parts,
) -> Mapping[str, DeliveryChannel]:
    """Build every channel we deliver through, by name."""
    described = {supplier.name: supplier for supplier in suppliers}
    return {
        channel.name: CHANNELS[channel.kind](
            msgspec.structs.replace(parts, http=described.get(channel.name), settings=channel)
        )
        for channel in channels
        if channel.kind in CHANNELS
    }
