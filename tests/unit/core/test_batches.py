"""One word of a person for many orders: begun once and as a whole, order by order from then on."""

import msgspec
import pytest

from monitor.core.engine import Engine
from monitor.core.views.batches import batch_view, preview, selection_of
from monitor.model.batches import BatchCancelled, BatchOrdered
from monitor.model.effects import Claim, NotifyBuyer, Refund, Submit
from monitor.model.records import ActionAnswered, AttemptAnswered, ClaimAnswered, HandOverAnswered
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.testing.scenario import START_MS, Scenario, delivered, paid, tick

SETTINGS = Settings(
    channels=(ChannelSettings("a"), ChannelSettings("pool", kind="stock")),
    fallback=FallbackSettings(mode="observe", has_shop=True, order=("pool",), max_per_hour=1),
    shop_takes=("notify", "refund", "compensate"),
)


def ordered(action: str, *orders: str, starts: int = 0) -> BatchOrdered:
    """Ann's order at three minutes and a bit; `starts` seconds later it begins."""
    at_ms = START_MS + 200_000
    return BatchOrdered("bat_1", action, orders, "ann", at_ms, at_ms + starts * 1_000, "outage")


def late(count: int = 3, settings: Settings = SETTINGS) -> Scenario:
    """So many orders that have waited for more than three minutes."""
    story = Scenario(settings)
    story.at(
        "0s", *(paid(f"o{n}", channel="a", amount_minor=500, currency="CNY") for n in range(count))
    )
    return story.at("199s", tick()).skip()


def counts(story: Scenario) -> dict[str, int]:
    batch = story.engine.batches.by_id["bat_1"]
    return batch_view(batch, list(story.engine.shard.orders.values()), 100, 0).counts


def test_takeover_of_late_orders_claims_each_once() -> None:
    """Though the mode only observes and one an hour is the limit: a person looked at it."""
    story = late().at("200s", ordered("takeover", "o0", "o1", "o2"))
    claims = [one.order_id for one in story.effects() if isinstance(one, Claim)]
    assert claims == ["o0", "o1", "o2"]
    story.at("201s", ordered("takeover", "o0", "o1", "o2"))
    assert len([one for one in story.effects() if isinstance(one, Claim)]) == 3
    assert counts(story) == {"under_way": 3}


def test_retry_goes_to_the_shop_though_its_channel_is_not_in_our_order() -> None:
    """A person asks for what the fallback does not do by itself: the order is not lost to people."""
    again = ChannelSettings("again", kind="shop_retry")
    settings = msgspec.structs.replace(SETTINGS, channels=(*SETTINGS.channels, again))
    story = late(1, settings).at("200s", ordered("retry", "o0"))
    (case,) = story.engine.desk.cases.values()
    granted = ClaimAnswered(f"claim_{case.claim_id}", case.takeover_id, "granted", START_MS,
                            paid=True, sku="gold", quantity=1, amount_minor=500)  # fmt: skip
    story.at("201s", granted)
    assert [one.channel for one in story.effects() if isinstance(one, Submit)] == ["again"]


def test_takeover_runs_to_its_end_for_each_order() -> None:
    """Delivered by us, delivered by the shop meanwhile, given to a person."""
    story = late().at("200s", ordered("takeover", "o0", "o1", "o2"))
    cases = {one.order_id: one for one in story.engine.desk.cases.values()}
    told = {"o0": "granted", "o1": "already_delivered", "o2": "denied"}
    for name, status in told.items():
        case = cases[name]
        answer = ClaimAnswered(f"claim_{case.claim_id}", case.takeover_id, status, START_MS,
                               paid=True, sku="gold", quantity=1, amount_minor=500)  # fmt: skip
        story.at("201s", answer)
    attempt = story.engine.desk.cases[cases["o0"].takeover_id].attempts[0]
    bought = AttemptAnswered(f"submit_{attempt.ref}", cases["o0"].takeover_id, attempt.ref,
                             "delivered", START_MS + 202_000, goods_count=1, goods_digest="d")  # fmt: skip
    story.at("202s", bought)
    handed = HandOverAnswered("h", cases["o0"].takeover_id, "delivered", START_MS + 203_000)
    story.at("203s", handed)
    assert counts(story) == {"done": 1, "skipped": 1, "failed": 1}


@pytest.mark.parametrize(("action", "kind"), [("notify", NotifyBuyer), ("refund", Refund)])
def test_what_cannot_be_undone_waits_and_can_be_taken_back(
    action: str, kind: type[NotifyBuyer] | type[Refund]
) -> None:
    """Nothing leaves before its time; taken back, nothing ever does."""
    story = late().at("200s", ordered(action, "o0", "o1", starts=30)).at("229s", tick())
    assert counts(story) == {"waiting": 2}
    assert not [one for one in story.effects() if isinstance(one, kind)]
    taken = late().at("200s", ordered(action, "o0", "o1", starts=30))
    taken.at("210s", BatchCancelled("bat_1", "ann", START_MS)).at("5m", tick())
    assert counts(taken) == {"cancelled": 2}
    assert not [one for one in taken.effects() if isinstance(one, kind)]
    story.at("231s", tick()).at("232s", BatchCancelled("bat_1", "ann", START_MS))
    assert len([one for one in story.effects() if isinstance(one, kind)]) == 2
    assert counts(story) == {"under_way": 2}


def test_answers_of_the_shop_end_the_items() -> None:
    """Done, refused, and one that was delivered before its turn."""
    story = late().at("200s", ordered("refund", "o0", "o1", "o2", starts=30))
    story.at("210s", delivered("o2", channel="a")).at("231s", tick())
    sent = {one.order_id: one for one in story.effects() if isinstance(one, Refund)}
    assert sorted(sent) == ["o0", "o1"]
    for name, outcome in (("o0", "done"), ("o1", "refused")):
        effect = sent[name]
        answer = ActionAnswered(effect.key, effect.action_id, name, outcome, START_MS + 240_000)
        story.at("4m", answer)
    assert counts(story) == {"done": 1, "failed": 1, "skipped": 1}


def test_order_is_refunded_once_whoever_asks() -> None:
    """A second batch finds the refund under way."""
    story = late(1).at("200s", ordered("refund", "o0")).at("201s", tick())
    again = msgspec.structs.replace(ordered("refund", "o0"), batch_id="bat_2")
    story.at("202s", again).at("4m", tick())
    assert len([one for one in story.effects() if isinstance(one, Refund)]) == 1
    assert story.engine.batches.by_id["bat_2"].refused == {"o0": "refund_under_way"}


def test_refund_that_came_to_nothing_and_was_asked_for_again_is_told_by_both_batches() -> None:
    """The shop says it has delivered: neither batch pays the order back, and both can be read."""
    story = late(1).at("200s", ordered("takeover", "o0"))
    (case,) = story.engine.desk.cases.values()
    said = ClaimAnswered(f"claim_{case.claim_id}", case.takeover_id, "already_delivered", START_MS)
    story.at("201s", said)
    for number in (2, 3):
        refund = msgspec.structs.replace(ordered("refund", "o0"), batch_id=f"bat_{number}")
        story.at(f"21{number}s", refund)
    orders = list(story.engine.shard.orders.values())
    told = [
        batch_view(story.engine.batches.by_id[f"bat_{number}"], orders, 1, 0).items[0]
        for number in (2, 3)
    ]
    assert [(one.state, one.detail) for one in told] == [
        ("skipped", "asked_again"), ("skipped", "resolved"),
    ]  # fmt: skip
    assert not [one for one in story.effects() if isinstance(one, Refund)]


def test_order_that_is_paid_back_is_not_taken_over() -> None:
    """Money and goods never both."""
    story = late(1).at("200s", ordered("refund", "o0")).at("201s", tick())
    both = msgspec.structs.replace(ordered("takeover", "o0"), batch_id="bat_2")
    story.at("202s", both)
    assert story.engine.batches.by_id["bat_2"].refused == {"o0": "refund_under_way"}
    assert not [one for one in story.effects() if isinstance(one, Claim)]


def test_preview_counts_money_and_leaves_out_what_is_not_to_be_touched() -> None:
    """Of the late ones, one is being taken over already."""
    story = late().at("200s", ordered("takeover", "o1"))
    shown = preview(story.engine, story.now_ms, action="takeover", state="late", channel=None,
                    sku=None, older_ms=0)  # fmt: skip
    assert [one.order_id for one in shown.orders] == ["o0", "o2"]
    assert (shown.count, shown.amount_minor) == (2, {"CNY": 1_000})
    assert [(one.order_id, one.reason) for one in shown.left_out] == [("o1", "takeover_claiming")]
    assert shown.selection == selection_of("takeover", ["o2", "o0"])
    assert shown.selection != selection_of("refund", ["o2", "o0"])


def test_batch_survives_snapshot_and_log_and_begins_once() -> None:
    """A restart within the undo time goes on where it was; behind it nothing begins again."""
    story = late().at("200s", ordered("notify", "o0", "o1", starts=30))
    restored = Engine(SETTINGS, RuleSet())
    restored.restore(story.engine.snapshot(), story.now_ms)
    replayed = Engine(SETTINGS, RuleSet())
    for segment in story.log:
        replayed.refold(*segment)
    assert restored.batches.by_id == replayed.batches.by_id == story.engine.batches.by_id
    assert restored.batches.next_ms() == START_MS + 230_000
    story.at("231s", tick())
    begun = Engine(SETTINGS, RuleSet())
    for segment in story.log:
        begun.refold(*segment)
    assert begun.batches.next_ms() is None
    assert begun.engine_hash() == story.engine.engine_hash()
