"""What new settings mean for orders and sources that are already known."""

from monitor.core.orders.shard import Shard
from monitor.core.orders.sources import SILENCE_FLOOR_MS
from monitor.model.events import OrderEvent
from monitor.model.settings import Settings, SourceSettings
from monitor.model.times import MINUTE_MS

PAID_MS = 1_767_578_400_000  # 2026-01-05T02:00:00Z


def event(kind: str, at_ms: int = PAID_MS, **attributes: object) -> OrderEvent:
    return OrderEvent(kind, "o1", "shop", f"{kind}/{at_ms}", at_ms, at_ms, **attributes)  # type: ignore[arg-type]  # as the test names them


def test_heartbeat_of_a_source_taken_out_of_the_file_no_longer_counts() -> None:
    """The shop is judged as one that was never configured, by its rate: five minutes at least."""
    shard = Shard(Settings(sources=(SourceSettings("shop", heartbeat_ms=MINUTE_MS),)))
    shard.fold(event("order.paid"))
    assert shard.next_silence_ms(PAID_MS) == PAID_MS + MINUTE_MS + 1
    shard.configure(Settings())
    assert shard.next_silence_ms(PAID_MS) == PAID_MS + SILENCE_FLOOR_MS + 1
    shard.configure(Settings(sources=(SourceSettings("shop", heartbeat_ms=2 * MINUTE_MS),)))
    assert shard.next_silence_ms(PAID_MS) == PAID_MS + 2 * MINUTE_MS + 1
