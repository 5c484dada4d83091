"""What brings events in by itself, beside what shops send: started on an open loop, stopped first.

canary ─► orders of the test goods      stock ─► counts of the key pool
hear   ─► who reads what shops send to `/hooks/{source}`, from the first request on
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.adapters.canary import CanaryShop
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.pepper import Pepper
from monitor.adapters.shops import PUSHES
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.stock_pool import free_stock
from monitor.core.engine import Engine
from monitor.model.endpoints import Endpoints, ShopSource
from monitor.ports import Clock, ShopPush
from monitor.runtime.canary import Canaries
from monitor.runtime.loop import Loop
from monitor.runtime.stock import StockTaker
from monitor.runtime.supervisor import Group, Supervisor


class Inlets:
    """The tasks that ask others and submit what they say; they end before the loop does."""

    def __init__(self, supervisor: Supervisor, clock: Clock, goods: GoodsFile) -> None:
        self._tasks = Group(supervisor)
        self._clock = clock
        self._goods = goods
        self._pushes: dict[str, ShopPush] = {}
        self._naming: Naming | None = None

    def hear(self, endpoints: Endpoints, pepper: Pepper) -> Mapping[str, ShopPush]:
        """Who reads what sources send by themselves, by name; what `start` gets replaces them."""
        self._naming = Naming(pepper.name, pepper.name_goods)
        self._renew(endpoints)
        return self._pushes

    def start(self, loop: Loop, engine: Engine, client: HttpClient, endpoints: Endpoints) -> None:
        """Begin to ask; the loop is open."""
        self._renew(endpoints)
        canary = endpoints.canary
        if canary is not None:
            canaries = Canaries(
                CanaryShop(client, canary), loop, self._clock,
                sku=canary.sku, every_ms=canary.every_ms,
            )  # fmt: skip
            self._tasks.spawn("canary", canaries.run())
        self._stock = StockTaker(
            lambda: free_stock(self._goods, self._clock.now_ms()),
            lambda: engine.shard.tallies.stock, loop, self._clock,
        )  # fmt: skip
        self._tasks.spawn("stock", self._stock.run())

    async def stop(self) -> None:
        """Ask no more."""
        await self._tasks.stop()

    def _renew(self, endpoints: Endpoints) -> None:
        shops = [source for source in endpoints.shop_sources if source.kind in PUSHES]
        self._pushes.clear()
        self._pushes |= {
            source.name: PUSHES[source.kind](source, self._facts(source)) for source in shops
        }

    def _facts(self, source: ShopSource) -> Facts:
        assert self._naming is not None, "a monitor hears before it asks"
        return Facts(source.name, self._naming, timezone=source.timezone, currency=source.currency)
