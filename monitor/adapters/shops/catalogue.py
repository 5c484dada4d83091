"""Every kind of shop with what there is to know before it is connected, put together from the tables."""

from __future__ import annotations

import sys

from monitor.adapters.shops import PULLS, PUSHES, kinds
from monitor.adapters.shops.reconcile import APIS
from monitor.model.shops import Known, ShopKind


def shop_kinds() -> tuple[ShopKind, ...]:
    """The kinds, by name."""
    return tuple(map(_described, kinds()))


def _described(kind: str) -> ShopKind:
    pull, push, api = PULLS.get(kind), PUSHES.get(kind), APIS.get(kind)
    known: tuple[Known, ...] = ()
    if pull is not None:
        known = pull.known
    elif push is not None:
        known = push.KNOWN
    elif api is not None:
        known = sys.modules[api.__module__].KNOWN
    return ShopKind(
        kind=kind,
        known=known,
        is_read=pull is not None,
        is_asked=api is not None,
        prefix=pull.prefix if pull is not None else None,
        timezone=pull.timezone if pull is not None else "",
        secret_at=push.SECRET.where if push is not None else None,
        is_secret_needed=push is not None and push.SECRET.is_needed,
        is_secret_in_address=push is not None and push.SECRET.is_in_address,
        patience_s=push.PATIENCE_S if push is not None and pull is None else None,
    )
