"""How far a source is believed: pauses, batches, habits of telling late, our own downtime."""

from monitor.core.orders.sources import Source, silences

T0 = 1_767_571_200_000
MINUTE = 60_000


def steady(orders: int, every_ms: int) -> Source:
    """A source that tells of an order at once, one every so often; its last word is the last order."""
    source = Source("shop", T0, T0)
    for number in range(orders):
        source.hear(T0 + number * every_ms)
        source.count_order(T0 + number * every_ms)
        source.note_lag(0)
    return source


def test_steady_source_is_believed_for_the_time_of_three_orders() -> None:
    """At ten orders a minute its silence says something after 18 s."""
    source = steady(100, 6_000)
    last = source.last_ms
    assert source.quiet_until_ms(last + 5_000) == last + 5_000
    assert source.quiet_until_ms(last + 60_000) == last + 18_000
    assert source.speaks(last + 18_000)
    assert source.is_unusually_quiet(last + 18_001)


def test_young_source_says_nothing_by_its_silence() -> None:
    """Of twenty-nine orders nobody learns how long it is usually quiet."""
    source = steady(29, 6_000)
    assert not source.is_unusually_quiet(source.last_ms + 60 * MINUTE)
    assert source.believed_until_ms(source.last_ms + 60 * MINUTE) == source.last_ms + 60 * MINUTE


def test_source_that_sends_batches_owes_only_what_it_has_had_time_to_tell() -> None:
    """Fifty orders at once every 30 s: what happened in the last half minute is not missing."""
    source = Source("shop", T0, T0)
    for batch in range(40):
        now = T0 + batch * 30_000
        for number in range(50):
            source.hear(now)
            source.count_order(now)
            source.note_lag(30_000 - number * 600)
    assert 24_000 <= source.lag_ms <= 30_000
    assert source.quiet_until_ms(source.last_ms + 1_000) <= source.last_ms - 23_000
    assert source.quiet_until_ms(source.last_ms + 300_000) <= source.last_ms + 3_000


def test_backlog_is_no_habit() -> None:
    """News of an hour ago say nothing about how late news usually are."""
    source = steady(100, 6_000)
    source.note_lag(60 * MINUTE)
    assert source.lag_ms == 0


def test_time_in_which_the_monitor_did_not_run_is_not_the_silence_of_a_source() -> None:
    """Six minutes of maintenance: nothing; eleven minutes of silence since: the source is named."""
    sources = {"shop": steady(1_000, 6_000)}
    back = sources["shop"].last_ms + 6 * MINUTE
    assert [one.is_silent for one in silences(sources, back)] == [True]
    assert silences(sources, back, awake_ms=back) == []
    assert [one.is_silent for one in silences(sources, back + 11 * MINUTE, back)] == [True]
