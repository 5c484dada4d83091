"""What new settings mean for orders and sources that are already known."""

from monitor.core.orders.shard import Shard
from monitor.core.orders.sources import next_silence_ms
from monitor.model.events import OrderEvent
from monitor.model.settings import PromiseTable, Settings, SourceSettings
from monitor.model.times import MINUTE_MS

PAID_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


def event(kind: str, at_ms: int = PAID_MS, **attributes: object) -> OrderEvent:
    return OrderEvent(kind, "o1", "shop", f"{kind}/{at_ms}", at_ms, at_ms, **attributes)  # type: ignore[arg-type]  # as the test names them


def promised(default_ms: int, **by_sku: int) -> Settings:
    return Settings(promise=PromiseTable(default_ms=default_ms, by_sku=by_sku))


def test_promise_given_at_payment_stays_when_the_settings_change() -> None:
    """Later news of the order, and other facts arriving late, do not move its deadline."""
    shard = Shard(promised(60_000, gold=90_000))
    shard.fold(event("order.paid", sku="gold"))
    shard.settle()
    shard.configure(promised(10_000, gold=20_000))
    for kind in ("order.created", "delivery.attempted", "order.refunded"):
        shard.fold(event(kind, PAID_MS + 1, channel="auto"))
        shard.settle()
        assert shard.orders["o1"].facts.promise_ms == 90_000
    shard.configure(promised(70_000))
    shard.fold(event("delivery.delivered", PAID_MS + 2))
    shard.settle()
    assert shard.orders["o1"].facts.promise_ms == 90_000


def test_order_unpaid_when_the_settings_change_is_promised_by_the_new_ones() -> None:
    """Nothing was promised before the money came."""
    shard = Shard(promised(60_000))
    shard.fold(event("order.created"))
    shard.settle()
    shard.configure(promised(10_000))
    shard.fold(event("order.paid", PAID_MS + 1))
    shard.settle()
    assert shard.orders["o1"].facts.promise_ms == 10_000


def test_other_facts_choose_another_promise_from_the_settings_of_today() -> None:
    """A paid order that turns out to be of a slower kind, or promised by the shop itself."""
    shard = Shard(promised(60_000))
    shard.fold(event("order.paid"))
    shard.settle()
    shard.configure(promised(10_000, gold=20_000))
    shard.fold(event("order.accepted", PAID_MS + 1, sku="gold"))
    shard.settle()
    assert shard.orders["o1"].facts.promise_ms == 20_000
    shard.fold(event("order.created", PAID_MS + 2, promise_ms=5_000))
    shard.settle()
    assert shard.orders["o1"].facts.promise_ms == 5_000


def test_heartbeat_of_a_source_taken_out_of_the_file_no_longer_counts() -> None:
    """The shop is judged as one that was never configured, by its rate: one order teaches none."""
    shard = Shard(Settings(sources=(SourceSettings("shop", heartbeat_ms=MINUTE_MS),)))
    shard.fold(event("order.paid"))
    shard.settle()
    assert next_silence_ms(shard.sources) == PAID_MS + MINUTE_MS + 1
    shard.configure(Settings())
    assert next_silence_ms(shard.sources) is None
    shard.configure(Settings(sources=(SourceSettings("shop", heartbeat_ms=2 * MINUTE_MS),)))
    assert next_silence_ms(shard.sources) == PAID_MS + 2 * MINUTE_MS + 1
