"""Counts the cards that a shop has not sold yet, by goods; how many, and nothing of the cards."""

from __future__ import annotations

from monitor.adapters.shops import PULLS
from monitor.adapters.shops.database import Database
from monitor.model.endpoints import DatabaseAccess, ShopSource


class UnsoldCards:
    """Counts in one shop's database; what was counted once and is gone counts as none left."""

    def __init__(self, source: ShopSource, access: DatabaseAccess) -> None:
        kind = PULLS[source.kind]
        prefix = kind.prefix if access.prefix is None else access.prefix
        self._sql = kind.stock.format(prefix=prefix or "")
        self._database = Database(access)
        self._seen: dict[str, int] = {}

    async def count(self) -> dict[str, int]:
        """How many are left, by the name that orders give the goods. Raises: SourceError."""
        rows = await self._database.rows(self._sql)
        found = {str(row["sku"]): int(row["unsold"]) for row in rows}
        self._seen = dict.fromkeys(self._seen, 0) | found
        return self._seen

    async def close(self) -> None:
        """Give the connection back."""
        await self._database.close()
