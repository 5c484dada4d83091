"""What brings events in by itself, beside what shops send: started on an open loop, stopped first.

canary ─► orders of the test goods      stock ─► counts of the key pool
hear   ─► who reads what shops send to `/hooks/{source}`, from the first request on
relay  ─► callbacks of payments on their way to the shop, from the first request on, too
tails  ─► what shops write into their logs
gauges ─► wallets at suppliers, webhooks that shops switched off, cards that they have left
polls  ─► what changed in the databases of shops, and what their APIs say that no webhook brought
gateways ─► lost callbacks, and whether what sees payments lives
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from monitor.adapters.canary import CanaryShop
from monitor.adapters.channels.probe import ask_wallet
from monitor.adapters.gateways import GATEWAYS
from monitor.adapters.gateways.asking import Asker, asker_of
from monitor.adapters.gateways.listening import listener_of
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.marks import MarkFile
from monitor.adapters.pepper import Pepper
from monitor.adapters.relay_store import RelayStore
from monitor.adapters.relay_wire import ShopWire
from monitor.adapters.shops import PULLS, PUSHES
from monitor.adapters.shops.database import Database
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.shops.reconcile import APIS
from monitor.adapters.shops.unsold import UnsoldCards
from monitor.adapters.stock_pool import free_stock
from monitor.adapters.tail_file import LogFile
from monitor.adapters.tail_lines import reader_of
from monitor.api.decode import DecodeContext
from monitor.api.left_out import LeftOut
from monitor.api.tail_log import TailLog
from monitor.core.engine import Engine
from monitor.core.inquiries import AskedGateway, Inquiries
from monitor.model.endpoints import DatabaseAccess, Endpoints, HttpChannel, ShopSource
from monitor.model.tails import TailSource
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.ports import Clock, ShopPull, ShopPush
from monitor.runtime.canary import Canaries
from monitor.runtime.gateway_ear import GatewayEar
from monitor.runtime.gateway_query import Asked, GatewayQuery
from monitor.runtime.gauges import Gauging, ShopStock, Wallets
from monitor.runtime.listeners import ListenerWatch
from monitor.runtime.loop import Loop
from monitor.runtime.polling import Poller
from monitor.runtime.relay import Relay
from monitor.runtime.relay_ports import Relayed, Tell
from monitor.runtime.stock import StockTaker
from monitor.runtime.supervisor import Group, Supervisor

TAIL_EVERY_MS = SECOND_MS // 2
API_POLL_MIN_MS = MINUTE_MS  # an API counts its callers, and is asked only for what got lost


class Inlets:
    """The tasks that ask others and submit what they say; they end before the loop does."""

    def __init__(
        self, supervisor: Supervisor, clock: Clock, goods: GoodsFile, left_out: LeftOut
    ) -> None:
        self._tasks = Group(supervisor)
        self._clock = clock
        self._goods = goods
        self._left_out = left_out
        self._tails: list[TailLog] = []
        self._pushes: dict[str, ShopPush] = {}
        self._naming: Naming | None = None
        self._supervisor = supervisor
        self._relay: Relay | None = None
        self._pollers: list[Poller] = []
        self._counted: list[UnsoldCards] = []
        self._switched_off: dict[str, tuple[str, ...]] = {}  # webhooks, by source
        self._askers: list[Asker] = []
        self._queries: list[GatewayQuery] = []
        self._watches: list[ListenerWatch] = []
        self._ear = GatewayEar(Inquiries(()), clock)

    def hear(
        self, endpoints: Endpoints, pepper: Pepper, tell: Tell
    ) -> tuple[Mapping[str, ShopPush], Relay]:
        """Who reads what sources send by themselves, by name, and the relay.

        What `start` gets replaces their configuration; `tell` takes events of the relay.
        """
        self._naming = Naming(pepper.name, pepper.name_goods)
        self._relay = Relay(
            RelayStore(Path(endpoints.data_dir)), ShopWire(), self._clock, self._supervisor, tell,
            pepper.name_goods, self._ear.heard,
        )  # fmt: skip
        self._renew(endpoints)
        return self._pushes, self._relay

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
        for tail in endpoints.tails:
            self._follow(tail, loop, engine, Path(endpoints.data_dir))
        self._measure(loop, engine, client, endpoints)
        for source in endpoints.shop_sources:
            self._read_shop(source, loop, client, Path(endpoints.data_dir))
        self._ask_gateways(loop, engine, client, endpoints)
        self._watch_listeners(loop, client, endpoints)

    def notes(self) -> list[str]:
        """What an operator must be told loudly: callbacks, unreadable shops, webhooks that are off."""
        notes = [] if self._relay is None else self._relay.notes()
        notes += [
            f"{one.source}: {one.trouble}" for one in self._pollers if one.trouble is not None
        ]
        notes += [f"{one.source}: {one.limit}" for one in self._pollers if one.limit]
        notes += [note for tail in self._tails for note in tail.notes()]
        notes += [f"gateway {one.name}: {one.trouble}" for one in self._queries if one.trouble]
        notes += [f"listener of {one.name}: {one.trouble}" for one in self._watches if one.trouble]
        return notes + [
            f"{source}: the shop switched its webhooks off: {', '.join(webhooks)}"
            for source, webhooks in self._switched_off.items()
            if webhooks
        ]

    async def stop(self) -> None:
        """Ask no more."""
        await self._tasks.stop()
        self._switched_off.clear()
        self._tails.clear()
        pollers, self._pollers = self._pollers, []
        counted, self._counted = self._counted, []
        for poller in pollers:
            await poller.close()
        for cards in counted:
            await cards.close()
        self._queries.clear()
        self._watches.clear()
        askers, self._askers = self._askers, []
        for asker in askers:
            await asker.close()

    def _read_shop(
        self, source: ShopSource, loop: Loop, client: HttpClient, data_dir: Path
    ) -> None:
        if source.database is not None and source.kind in PULLS:
            place = (source.kind, source.database.url, source.database.prefix or "")
            mark = MarkFile(data_dir, loop.place, source.name, *place)
            pull: ShopPull = PULLS[source.kind](source, self._facts(source))
            self._poll(source.name, pull, mark, loop, source.poll_ms)
            self._count_cards(source, source.database)
        if source.api is not None and source.kind in APIS:
            place = (source.kind, source.api.url or "", "")
            mark = MarkFile(data_dir, loop.place, f"{source.name}.api", *place)
            pull = APIS[source.kind](source, self._facts(source), client, self._note_webhooks)
            self._poll(source.name, pull, mark, loop, max(source.poll_ms, API_POLL_MIN_MS))

    def _poll(self, source: str, pull: ShopPull, mark: MarkFile, loop: Loop, every_ms: int) -> None:
        poller = Poller(source, pull, mark, loop, self._clock, every_ms=every_ms)
        self._pollers.append(poller)
        self._tasks.spawn(f"poll-{source}", poller.run())

    def _count_cards(self, source: ShopSource, access: DatabaseAccess) -> None:
        if not PULLS[source.kind].stock:
            return
        cards = UnsoldCards(source, access)
        self._counted.append(cards)
        self._tasks.spawn(f"cards-{source.name}", ShopStock(cards.count, self._gauging).run())

    def _follow(self, tail: TailSource, loop: Loop, engine: Engine, data_dir: Path) -> None:
        naming = self._naming
        assert naming is not None, "a monitor hears before it asks"
        known = {one.name: one for one in engine.settings.sources}

        def context(now_ms: int) -> DecodeContext:
            return DecodeContext(
                received_ms=now_ms,
                default_source=tail.source,
                sources=known,
                name_customer=naming.customer,
                name_goods=naming.goods,
            )

        def count_bad(bad: int) -> None:
            self._left_out.count(tail.source, rejected=bad, ignored_fields=0)

        file = LogFile(Path(tail.file), tail.line_bytes_max)
        log = TailLog(tail.source, file, reader_of(tail), context, count_bad)
        self._tails.append(log)
        mark = MarkFile(data_dir, loop.place, f"{tail.source}.tail", tail.file)
        poller = Poller(
            tail.source, log, mark, loop, self._clock, every_ms=TAIL_EVERY_MS, has_pulse=False
        )
        self._pollers.append(poller)
        self._tasks.spawn(f"tail-{tail.source}", poller.run())

    def _measure(
        self, loop: Loop, engine: Engine, client: HttpClient, endpoints: Endpoints
    ) -> None:
        self._gauging = Gauging(engine.shard.tallies.gauges.value, loop, self._clock)
        self._tasks.spawn("gauges", self._gauging.run())
        ask = {
            one.name: partial(self._ask_wallet, one, client, engine)
            for one in endpoints.http_channels
            if one.probe is not None and one.probe.balance is not None
        }
        if ask:
            self._tasks.spawn("wallets", Wallets(ask, self._gauging).run())

    async def _ask_wallet(
        self, channel: HttpChannel, client: HttpClient, engine: Engine
    ) -> int | None:
        return await ask_wallet(channel, client, self._clock.now_ms(), engine.settings.currency)

    def _note_webhooks(self, source: str, switched_off: tuple[str, ...]) -> None:
        self._switched_off[source] = switched_off
        is_off = any(one.endswith("disabled") for one in switched_off)  # not paused by a person
        self._gauging.note("webhook", source, 0 if is_off else 1)

    def _ask_gateways(
        self, loop: Loop, engine: Engine, client: HttpClient, endpoints: Endpoints
    ) -> None:
        assert self._naming is not None, "a monitor hears before it asks"
        chosen = [one for one in endpoints.gateways if one.is_asked]
        inquiries = Inquiries(
            [AskedGateway(one.name, one.providers, one.ask_for_ms) for one in chosen]
        )
        inquiries.go_on_from(self._ear.inquiries)
        self._ear.inquiries = inquiries
        for access in chosen:
            self._askers.append(asker_of(access, client, Database))
            query = GatewayQuery(
                Asked(access.name, self._askers[-1], access.keys.currency),
                inquiries, lambda: engine.shard.orders, loop, self._clock, self._naming.goods,
            )  # fmt: skip
            self._queries.append(query)
            self._tasks.spawn(f"gateway-{access.name}", query.run())

    def _watch_listeners(self, loop: Loop, client: HttpClient, endpoints: Endpoints) -> None:
        for access in endpoints.gateways:
            if access.is_watched:
                is_alive = listener_of(access, client, self._clock, self._ear.is_pushing)
                watch = ListenerWatch(access.name, is_alive, loop, self._clock)
                self._watches.append(watch)
                self._tasks.spawn(f"listener-{access.name}", watch.run())

    async def close(self) -> None:
        """Ask no more and forward no more; there is no beginning again."""
        await self.stop()
        if self._relay is not None:
            await self._relay.stop()

    def _renew(self, endpoints: Endpoints) -> None:
        shops = [source for source in endpoints.shop_sources if source.kind in PUSHES]
        self._pushes.clear()
        self._pushes |= {
            source.name: PUSHES[source.kind](source, self._facts(source)) for source in shops
        }
        assert self._relay is not None, "a monitor hears before it asks"
        self._relay.renew(
            {one.name: Relayed(one, GATEWAYS[one.kind](one.keys)) for one in endpoints.relays}
        )

    def _facts(self, source: ShopSource) -> Facts:
        assert self._naming is not None, "a monitor hears before it asks"
        return Facts(source.name, self._naming, timezone=source.timezone, currency=source.currency)
