"""What a turn of the loop tells its listeners, and what it does not compute for nobody."""

from monitor.api.broadcast import Broadcast
from monitor.api.service import StreamEvent
from monitor.core.engine import Engine
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings

NOW_MS = 1_790_000_000_000


async def test_signal_is_told_only_when_somebody_wants_it() -> None:
    """The moment a reader comes the next turn says that numbers moved, once a second."""
    broadcast, engine, told = Broadcast(), Engine(Settings(), RuleSet()), list[StreamEvent]()
    readers = 0
    end = broadcast.subscribe(told.append, lambda: readers > 0)
    broadcast.publish([], engine, NOW_MS)
    assert told == []
    readers = 1
    broadcast.publish([], engine, NOW_MS)
    broadcast.publish([], engine, NOW_MS)
    assert [one.kind for one in told] == ["signal"]
    end()
    assert (broadcast._listeners, broadcast._wants) == ([], [])
