"""The first look at a shop that has been selling for long is no incident."""

from __future__ import annotations

from monitor.config.rules_file import load_shipped
from monitor.core.engine import Engine
from monitor.model.commands import Command, Decide, Perform, Tick
from monitor.model.records import AlertMoved, TierReached
from monitor.model.settings import Settings
from monitor.model.times import SECOND_MS
from tests.contracts.shop_contract import START_MS, Reader
from tests.databases import Servers
from tests.shops.many_orders import fill
from tests.shops.stalls import DujiaokaBench


def is_loud(command: Command) -> bool:
    """Whether somebody would be told or something done."""
    if isinstance(command, Perform):
        return True
    if not isinstance(command, Decide):
        return False
    decision = command.decision
    is_firing = isinstance(decision, AlertMoved) and decision.alert.state == "firing"
    return is_firing or isinstance(decision, TierReached)


async def test_a_day_of_orders_alarms_nobody(mariadb_server: Servers) -> None:
    """Delivered, expired and owed ones of a day and more; what is owed has a minute to be delivered."""
    bench = DujiaokaBench(mariadb_server.database(DujiaokaBench.script))
    fill(bench.database.shop, 5_000, START_MS)
    reader = Reader(bench)
    reader.engine = Engine(Settings(), load_shipped())
    handle = reader.engine.handle
    await reader.poll(START_MS)
    loud = list(filter(is_loud, reader.commands))
    for second in range(1, 59):
        loud += filter(is_loud, handle(Tick(), START_MS + second * SECOND_MS))
    orders = reader.orders().values()
    assert sum(order.facts.delivered_ms is not None for order in orders) > 1_000
    owed = [order for order in orders if order.facts.paid_ms and not order.facts.done_ms]
    assert owed
    assert loud == []
    late = handle(Tick(), START_MS + 61 * SECOND_MS)
    assert any(map(is_loud, late))  # a minute later it is an order that nobody delivered
    await reader.pull.close()
    bench.database.shop.close()
