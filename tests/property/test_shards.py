"""Eight shards say what one says, bit by bit: rows, tallies, charts, findings, baselines, decisions."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.bench_shards import START_MS as STORY_MS
from benchmarks.bench_shards import story, told
from benchmarks.shards import Sharded, differences, merged
from monitor.core.orders.shard import Shard
from monitor.core.orders.tallies import Tallies
from monitor.core.rules.lookback import settings_for
from monitor.core.signals.observation import LABELS
from monitor.model.events import OrderEvent
from monitor.model.records import AlertMoved, BaselineLearned, ClockSetBack
from monitor.model.settings import Settings
from monitor.model.times import HOUR_MS
from monitor.testing.scenario import START_MS
from tests.property.engine_world import EVENT_LISTS, EVENTS, MINUTE_MS, RULES, SETTINGS

SHARDS = 8
IDS = st.integers(0, 40).map(lambda number: f"o{number}")
STEPS = st.lists(
    st.tuples(st.integers(0, 4 * MINUTE_MS), st.lists(st.tuples(EVENTS, IDS), max_size=8)),
    max_size=15,
)


def _at(event: OrderEvent, order_id: str, now_ms: int) -> OrderEvent:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    times = {"received_ms": now_ms, "time_ms": min(event.time_ms, now_ms), "order_id": order_id}
    return OrderEvent(**{**fields, **times})


@settings(max_examples=25)
@given(STEPS)
def test_random_story_is_the_same_over_eight_shards(
    steps: list[tuple[int, list[tuple[OrderEvent, str]]]],
) -> None:
    """Late news, silent sources, refunds and unpaid orders, compared at every look."""
    made = settings_for(SETTINGS, RULES)
    one, many = Sharded(1, made, RULES), Sharded(SHARDS, made, RULES)
    now_ms = START_MS
    for pause_ms, events in steps:
        now_ms += pause_ms
        for world in (one, many):
            world.take(_at(event, order_id, now_ms) for event, order_id in events)
            world.look(now_ms)
            world.look(now_ms + 7_000)
        assert differences(one, many) == []
        now_ms += 7_000


def test_three_hours_of_a_shop_with_an_outage_are_the_same_over_eight_shards() -> None:
    """Baselines are learned, charts alarm, rules fire and resolve; not a bit differs."""
    events = story(hours=4, per_minute=4)
    one = told(events, 1, every_ms=25_000)
    many = told(events, SHARDS, every_ms=25_000)
    assert differences(one, many) == []
    states = {(moved.alert.rule, moved.alert.state) for moved in one.decided
              if isinstance(moved, AlertMoved)}  # fmt: skip
    assert ("DeliveryStalled", "firing") in states
    assert ("DelayedOver2Percent", "firing") in states
    learned = [one_ for one_ in one.decided if isinstance(one_, BaselineLearned)]
    assert {decision.baseline.channel for decision in learned} >= {"*", "auto", "pool"}


def test_names_beyond_the_limit_are_the_same_over_eight_shards() -> None:
    """Of 300 of each kind the same 200 are named, also of channels that only a breach names."""
    made = settings_for(Settings(), RULES)
    one, many = Sharded(1, made, RULES), Sharded(SHARDS, made, RULES)
    for world in (one, many):
        for number in range(300):
            world.take(_named(number))
        for minute in range(12):
            world.look(START_MS + minute * MINUTE_MS)
    assert differences(one, many) == []
    names = many.rows.names
    assert [len(names.of(label)) for label in LABELS] == [202, 201, 201, 201]
    assert {"external", "later0", "first0", "other"} <= set(names.channel)


def _named(number: int) -> Iterator[OrderEvent]:
    """An order that one channel tried when its promise broke, and another one after that."""
    told = {"provider": f"p{number}", "sku": f"g{number}"}
    for kind, minute, channel in (
        ("order.created", 0, None),
        ("order.paid", 0, None),
        ("delivery.attempted", 9, f"later{number % 50}"),
        ("delivery.attempted", 1, f"first{number}"),
    ):
        at_ms = START_MS + minute * MINUTE_MS
        yield OrderEvent(
            kind, f"o{number}", f"s{number}", f"{kind}{minute}", at_ms, START_MS,
            channel=channel, **told,  # type: ignore[arg-type]  # names only
        )  # fmt: skip


def test_lost_shard_is_a_difference() -> None:
    """The comparison can fail: one order less, and everything that rests on it differs."""
    events = story(hours=2, per_minute=4)
    one, many = told(events, 1, every_ms=60_000), told(events[:-1], SHARDS, every_ms=60_000)
    last_ms = STORY_MS + 2 * HOUR_MS + MINUTE_MS
    for world in (one, many):
        world.look(last_ms)
    assert "rows" in differences(one, many)


@given(EVENT_LISTS, st.permutations(range(SHARDS)))
def test_tallies_merge_in_any_order(events: list[OrderEvent], order: list[int]) -> None:
    """The sum of eight is that of one, whichever is added first, and adding nothing adds nothing."""
    whole, parts = Shard(SETTINGS), [Shard(SETTINGS) for _ in range(SHARDS)]
    for event in events:
        whole.fold(event)
        parts[int(event.order_id[1:]) % SHARDS].fold(event)
    for shard in (whole, *parts):
        shard.settle()
    tallies = [part.tallies for part in parts]
    before = [one.snapshot() for one in tallies]
    together = merged([tallies[place] for place in order] + [Tallies()])
    assert together.snapshot() == whole.tallies.snapshot()
    assert [one.snapshot() for one in tallies] == before


def test_clock_that_was_ahead_is_the_same_over_eight_shards() -> None:
    """Each shard puts its own orders right, and together they say what one says."""
    made = settings_for(SETTINGS, RULES)
    one, many = Sharded(1, made, RULES), Sharded(SHARDS, made, RULES)
    paid = [
        OrderEvent("order.paid", f"o{number}", "plain", "p", at_ms, at_ms, is_inferred=True)
        for number in range(40)
        for at_ms in [START_MS + HOUR_MS + number * 20_000]
    ]
    back_ms = START_MS + 15 * MINUTE_MS
    for world in (one, many):
        world.take(paid)
        world.look(START_MS + HOUR_MS + 14 * MINUTE_MS)
        for shard in world.shards:
            shard.follow_clock(ClockSetBack(back_ms, HOUR_MS - 2 * MINUTE_MS))
        world.look(back_ms + MINUTE_MS)
        world.look(back_ms + 10 * MINUTE_MS)
    assert differences(one, many) == []
    assert int(many.rows.paid_ms.max()) <= back_ms
