"""What `doctor` says about shops whose database is read: tables, orders, zone, clock, rights."""

from __future__ import annotations

import asyncio

from monitor.adapters.clock import SystemClock
from monitor.adapters.shops import PULLS
from monitor.adapters.shops.probe import Probe, probe
from monitor.cli.finding import BAD, OK, Finding
from monitor.config.load import Loaded
from monitor.model.endpoints import ShopSource
from monitor.model.errors import SourceError
from monitor.model.shops import Precision
from monitor.model.times import format_duration

CHECK = "shops"


def look_at_shops(loaded: Loaded) -> list[Finding]:
    """Each shop that is read: what is there and how well it is known, or what is wrong with it."""
    shops = [
        source
        for source in loaded.endpoints.shop_sources
        if source.database is not None and source.kind in PULLS
    ]
    return [finding for source in shops for finding in _of(source)]


def _of(source: ShopSource) -> list[Finding]:
    now_ms = SystemClock().now_ms()
    try:
        found = asyncio.run(probe(source, now_ms))
    except SourceError as error:
        return [Finding(CHECK, BAD, f"{source.name}: {error}", error.hint)]
    problems = [
        Finding(CHECK, BAD, f"{source.name}: {what}", advice) for what, advice in found.problems()
    ]
    if found.missing:
        return problems
    return [Finding(CHECK, OK, f"{source.name}: {_there(source, found, now_ms)}"), *problems]


def _there(source: ShopSource, found: Probe, now_ms: int) -> str:
    count = "more orders than can be counted" if found.orders is None else f"{found.orders} orders"
    parts = [f"{source.kind} in {found.place} can be read", count]
    if found.newest_ms is not None and found.newest_ms <= now_ms:
        parts.append(f"the newest {format_duration(now_ms - found.newest_ms)} ago")
    missing = [one.fact for one in found.known if one.precision == Precision.MISSING]
    if missing:
        parts.append(f"not known from there: {', '.join(missing)}")
    return "; ".join(parts)
