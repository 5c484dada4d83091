"""The shipped rule about stalled delivery on the whole engine: what it sees, and what it must not."""

import pytest

from monitor.config.rules_file import load_shipped
from monitor.core.rules.lookback import settings_for
from monitor.model.records import AlertMoved
from monitor.model.settings import Settings
from monitor.testing.scenario import START_MS, Scenario, delivered, paid, tick

RULES = load_shipped()
HEALTHY_S = 20 * 60


class Shop:
    """An order every six seconds, delivered after eight, unless the story says otherwise."""

    def __init__(self) -> None:
        self.story = Scenario(settings_for(Settings(), RULES), RULES)
        self._due: list[tuple[int, str]] = []

    def sell(self, from_s: int, until_s: int, *, delay_s: int | None = 8) -> None:
        """Orders of a span; None as delay: they are never delivered."""
        for second in range(from_s, until_s, 2):
            ready = [order_id for due_s, order_id in self._due if due_s <= second]
            self._due = [one for one in self._due if one[0] > second]
            given = [delivered(order_id, channel="auto") for order_id in ready]
            if second % 6 == 0:
                given.append(paid(f"o{second}", channel="auto"))
                if delay_s is not None:
                    self._due.append((second + delay_s, f"o{second}"))
            if given:
                self.story.at(f"{second}s", *given)

    def deliver(self, at_s: int, first_s: int, until_s: int) -> None:
        """Everything paid in a span is delivered at once."""
        ids = [f"o{second}" for second in range(first_s, until_s) if second % 6 == 0]
        self.story.at(f"{at_s}s", *(delivered(one, channel="auto") for one in ids))

    def moves(self, rule: str) -> list[tuple[float, str]]:
        """(seconds, new state) of a rule's alert."""
        return [
            ((one.at_ms - START_MS) / 1000, one.alert.state)
            for one in self.story.decisions()
            if isinstance(one, AlertMoved) and one.alert.rule == rule
        ]


@pytest.mark.parametrize(("healthy_s", "found_s"), [(HEALTHY_S, 240), (3 * 3600, 70)])
def test_outage_is_found_before_the_first_promise_breaks_once_something_is_learned(
    healthy_s: int, found_s: int
) -> None:
    """Ten orders a minute, none delivered any more: a page at once.

    In the first hours nobody knows what is normal: then a promise must have broken too.
    """
    shop = Shop()
    shop.sell(0, healthy_s)
    shop.sell(healthy_s, healthy_s + 300, delay_s=None)
    ((at_s, state),) = shop.moves("DeliveryStalled")
    assert state == "firing"
    assert healthy_s < at_s <= healthy_s + found_s


def test_emitter_that_dies_is_not_taken_for_a_channel_that_died() -> None:
    """The same silence about deliveries, but about orders too: only the source is named."""
    shop = Shop()
    shop.sell(0, HEALTHY_S)
    shop.story.at(f"{HEALTHY_S + 3600}s", tick())
    assert shop.moves("DeliveryStalled") == []
    assert [state for _, state in shop.moves("SourceSilent")] == ["firing"]


def test_silence_neither_ends_nor_begins_what_the_chart_says() -> None:
    """An outage, an hour without a word, and the outage still goes on: one page, one end."""
    shop = Shop()
    shop.sell(0, HEALTHY_S)
    shop.sell(HEALTHY_S, HEALTHY_S + 300, delay_s=None)
    back_s = HEALTHY_S + 3900
    shop.sell(back_s, back_s + 300, delay_s=None)
    assert [state for _, state in shop.moves("DeliveryStalled")] == ["firing"]
    shop.deliver(back_s + 301, HEALTHY_S, back_s + 300)
    shop.sell(back_s + 302, back_s + 1200)
    assert [state for _, state in shop.moves("DeliveryStalled")] == ["firing", "inactive"]


def test_deliveries_heard_of_an_hour_late_are_no_stall() -> None:
    """The source returns and tells what happened when it happened: nobody is paged for the past."""
    shop = Shop()
    shop.sell(0, HEALTHY_S)
    shop.sell(HEALTHY_S, HEALTHY_S + 12)
    late = f"{HEALTHY_S + 20}s"
    back_s = HEALTHY_S + 3600
    ids = [f"o{second}" for second in (HEALTHY_S - 6, HEALTHY_S, HEALTHY_S + 6)]
    shop.story.at(f"{back_s}s", *(delivered(one, late, channel="auto") for one in ids))
    shop.story.at(f"{back_s + 1800}s", tick())
    assert shop.moves("DeliveryStalled") == []
