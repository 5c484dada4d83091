"""The key pool as tests look at it: every state of every sku."""

from __future__ import annotations

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.stock_pool import STATES, stock_levels


async def stock_counts(file: GoodsFile, now_ms: int = 0) -> dict[str, dict[str, int]]:
    """Units of the pool as sku → state → count, every state named; `free` without expired ones."""
    levels = await stock_levels(file, now_ms)
    return {
        sku: {state: getattr(level, state) for state in STATES} for sku, level in levels.items()
    }
