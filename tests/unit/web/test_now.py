"""What the page says: one honest sentence, warnings, rows in words."""

import msgspec
import pytest

from monitor.core.engine import Engine
from monitor.model.baselines import Baseline
from monitor.model.commands import Batch, Tick
from monitor.model.records import BaselineLearned, ChannelSteered, ClaimAnswered, SwitchAnswered
from monitor.model.settings import FailoverSettings, FallbackSettings
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.web.language import Words
from monitor.web.now import Now, now_page
from monitor.web.phrases import Phrases
from tests.unit.web.story import (
    ARMED,
    NOON_MS,
    SETTINGS,
    broken_shop,
    event,
    feed,
    healthy_shop,
    quiet_shop,
)


def look(engine: Engine, language: str = "en", now_ms: int = NOON_MS) -> Now:
    return now_page(engine, Phrases(Words(language), "Asia/Shanghai", now_ms), ())


def numbers(now: Now) -> dict[str, tuple[str, str]]:
    return {number.label: (number.value, number.detail) for number in now.numbers}


def test_shop_nobody_heard_of_waits_for_its_first_event() -> None:
    """No number is made up: dashes with reasons, and how to send the first event."""
    now = look(quiet_shop())
    assert now.headline.text == "Waiting for the first event"
    assert now.example is not None
    assert "http://127.0.0.1:8080/v1/events" in now.example
    assert numbers(now)["Late orders"] == ("—", "no order was judged in the last 15m")
    assert numbers(now)["95 % are delivered within"] == ("—", "no order in the last 15m")
    assert numbers(now)["Longest wait now"] == ("—", "nobody waits")
    assert numbers(now)["Sources heard"] == ("—", "Waiting for the first event")
    assert [source.state.word for source in now.sources] == ["Waiting for the first event"] * 2
    assert now.health.value is None


def test_healthy_shop_says_so_with_its_numbers() -> None:
    """20 of 20 in time after 8 s each; one order waits since 12 s."""
    now = look(healthy_shop())
    assert (now.headline.text, now.headline.tone) == (
        "Buyers are getting their goods in time",
        "good",
    )
    assert now.headline.title == "Delivery Monitor"
    assert numbers(now)["Late orders"][0] == "0 of 20"
    assert numbers(now)["Longest wait now"] == ("12s", "order A20")
    assert [number.tone for number in now.numbers] == ["plain"] * 6  # nothing asks for a look
    assert numbers(now)["Waiting orders"] == ("1", "0 of them over their promise")
    (row,) = now.orders
    assert (row.order_id, row.age, row.promise, row.due.word) == ("A20", "12s", "3m", "2m 48s left")
    assert (row.channel, row.tier, row.takeover) == ("auto", None, None)
    assert now.example is None


def test_outage_is_said_worst_first_and_sorted_by_time_to_breach() -> None:
    """Eight orders wait, five of them longer than promised; percentiles are only bounded."""
    now = look(broken_shop())
    assert now.headline.text == (
        "2 alerts are firing · 5 buyers have waited longer than promised · channel auto is slow"
    )
    assert now.headline.tone == "bad"
    assert now.headline.title == "(5 late) Delivery Monitor"
    assert [row.due.word for row in now.orders] == [
        "33m late", "4m late", "3m late", "2m late", "1m late", "0s left", "1m left", "2m left",
    ]  # fmt: skip
    assert [row.tier for row in now.orders[:5]] == ["L3", "L2", "L2", "L1", "L1"]
    p95 = now.numbers[2]
    assert (p95.value[:2], p95.tone) == ("≥ ", "warn")
    assert (now.channels[0].name, now.channels[0].state.word) == ("auto", "Slow: breaker open")
    assert now.alerts[0].rule == "DelayedOver2Percent"
    assert now.alerts[0].summary == "5 of 17 orders on auto are late"
    assert now.alerts[0].evidence == ["5 of 17", "29.4%, limit 2%"]


def test_outage_in_chinese_says_the_same() -> None:
    """The rule's Chinese summary is used, and no English sentence is left."""
    now = look(broken_shop(), "zh-CN")
    assert now.headline.text == "2 条告警正在触发 · 5 位买家的等待已超过承诺时间 · 渠道 auto 变慢"
    assert now.alerts[0].summary == "渠道 auto：17 单中有 5 单延迟"
    assert now.orders[0].due.word == "超时 33分钟"
    assert now.mode == ["仅观察：不会自动切换渠道，也不会自动发货。"]


def test_silent_source_makes_overdue_orders_unconfirmed_and_is_said_loudly() -> None:
    """A dead emitter must not look like a delivery outage."""
    engine = quiet_shop()
    feed(engine, event("order.paid", "A1", NOON_MS - 6 * MINUTE_MS))
    engine.handle(Tick(), NOON_MS)
    now = look(engine)
    assert now.headline.text == (
        "Source main-shop is silent · 1 order is overdue, but its shop is silent"
    )
    assert now.orders[0].due.word == "3m overdue, unconfirmed"
    (note,) = now.notes
    assert note == (
        "Source main-shop has been silent for 6m. Its overdue orders are unconfirmed, and nothing "
        "is switched or taken over because of them."
    )
    assert (now.sources[0].name, now.sources[0].state.word) == ("main-shop", "Silent")
    assert numbers(now)["Sources heard"] == ("0 of 2", "last event 6m ago, 1 silent")


def test_missing_receiver_is_said_loudly() -> None:
    """An alert that reaches nobody is worth a warning before it fires."""
    engine = quiet_shop(msgspec.structs.replace(SETTINGS, receivers=(), default_receiver=None))
    assert look(engine).notes == ["No receiver is configured: nobody would be told about an alert."]


@pytest.mark.parametrize(
    ("failover", "fallback", "said"),
    [
        (FailoverSettings(), FallbackSettings(), ["Watching only: nothing is switched or"]),
        (
            FailoverSettings("advise"),
            FallbackSettings(),
            ["Switching: advises, never", "Stuck orders: watches only"],
        ),
        (
            FailoverSettings("enforce", has_webhook=True),
            FallbackSettings("enforce", has_shop=True),
            ["Switching: automatic, within its limits.", "Stuck orders: taken over automatically"],
        ),
        (
            FailoverSettings("enforce"),
            FallbackSettings("enforce"),
            ["Switching: automatic, within its limits; the shop has to ask", "Stuck orders: only"],
        ),
    ],
)
def test_banner_says_what_really_happens_by_itself(
    failover: FailoverSettings, fallback: FallbackSettings, said: list[str]
) -> None:
    """`enforce` without anybody to send to is not called automatic."""
    settings = msgspec.structs.replace(SETTINGS, failover=failover, fallback=fallback)
    mode = look(quiet_shop(settings)).mode
    assert len(mode) == len(said)
    assert all(line.startswith(start) for line, start in zip(mode, said, strict=True))


def test_switch_shows_epoch_target_reason_and_the_shops_answer() -> None:
    """Unanswered until the shop has applied it."""
    engine = broken_shop(settings=ARMED)
    waiting = look(engine).route
    assert (waiting.targets, waiting.epoch) == (["supplier 100%"], 1)
    assert (waiting.status.word, waiting.status.tone) == ("not acknowledged yet", "warn")
    assert waiting.reason == "the four latest orders were all slow"
    engine.handle(Batch((SwitchAnswered("x", 1, "applied", 1, NOON_MS),)), NOON_MS)
    applied = look(engine).route
    assert (applied.status.word, applied.status.tone) == ("applied", "good")
    assert applied.answered is not None
    assert applied.answered.short == "12:00:00"


def test_takeovers_show_state_channel_and_reason_with_open_ones_first() -> None:
    """A denied claim needs a person; a granted one is being ordered."""
    engine = broken_shop(settings=ARMED)
    for order_id, status in (("B1", "granted"), ("B2", "denied")):
        case = engine.shard.orders[order_id].case
        assert case is not None
        answer = ClaimAnswered(
            f"claim_{case.claim_id}", case.takeover_id, status, NOON_MS,
            paid=True, sku="steam-50", amount_minor=4_999,
        )  # fmt: skip
        engine.handle(Batch((answer,)), NOON_MS)
    now = look(engine)
    rows = {row.order_id: row for row in now.takeovers}
    assert (rows["B1"].state.word, rows["B1"].channel) == ("Ordering", "supplier")
    assert (rows["B2"].state.word, rows["B2"].reason) == (
        "Needs a person",
        "the shop denied the claim",
    )
    feed(engine, event("delivery.delivered", "B3", NOON_MS))
    assert [row.state.word for row in look(engine).takeovers][-1] == "Given back"
    assert {row.order_id: row.takeover for row in now.orders}["B2"] == rows["B2"].state


def test_locked_and_drained_channels_say_why() -> None:
    """What a person did to a channel stands beside its state."""
    engine = healthy_shop()
    for action, channel in (("lock", "auto"), ("drain", "pool")):
        steered = ChannelSteered(channel, action, "ada", NOON_MS, "stock count")
        engine.handle(Batch((steered,)), NOON_MS)
    rows = {row.name: row for row in look(engine).channels}
    assert rows["auto"].remarks == ["Locked: stock count"]
    assert (rows["pool"].state.word, rows["pool"].remarks) == ("Drained", ["Drained: stock count"])


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Stalled", "10 expected, 0 seen", "since 11:54:00", "learning the usual pace")),
        ("zh-CN", ("发货停滞", "应发 10，实发 0", "自 11:54:00 起", "正在学习平时速度")),
    ],
)
def test_stalled_channel_says_how_many_deliveries_are_missing(
    language: str, words: tuple[str, str, str, str]
) -> None:
    """Deliveries were due since six minutes ago and none came; others without orders say nothing."""
    rows = {row.name: row for row in look(broken_shop(), language).channels}
    auto, staff = rows["auto"], rows["staff"]
    assert auto.stalled is not None
    assert (auto.stalled.word, auto.chart, *auto.chart_details) == words
    assert auto.stalled.tone == "bad"
    assert (staff.stalled, staff.chart, [*staff.chart_details]) == (None, "—", [])


def test_channel_that_stalls_before_any_promise_breaks_does_not_seem_to_deliver() -> None:
    """Fifty young orders and no delivery: nothing is slow yet, and still nobody gets anything."""
    engine = quiet_shop()
    usual = Baseline("auto", 150, 0, NOON_MS, ((300, 150),), limit=9.5)
    engine.refold(BaselineLearned(usual, NOON_MS - 60 * MINUTE_MS))
    for back in range(50, 0, -1):
        feed(engine, event("order.paid", f"Y{back}", NOON_MS - back * SECOND_MS))
        engine.handle(Tick(), NOON_MS - back * SECOND_MS)
    engine.handle(Tick(), NOON_MS)
    row = look(engine).channels[0]
    assert (row.state.word, row.state.tone, row.stalled) == ("Stalled", "bad", None)
    assert (row.slow, row.waiting) == ("—", 50)
    assert row.chart.endswith(" expected, 0 seen")


def test_channel_that_keeps_up_says_so_and_what_is_learned_is_no_warning() -> None:
    """While the usual pace is being learned the channel says just that; afterwards nothing."""
    engine = healthy_shop()
    row = look(engine).channels[0]
    assert (row.stalled, row.chart, row.chart_details) == (
        None,
        "keep up",
        ["learning the usual pace"],
    )
    learned = Baseline("auto", 500, 0, NOON_MS, ((600, 500),), limit=9.5)
    engine.refold(BaselineLearned(learned, NOON_MS))
    assert look(engine).channels[0].chart_details == []


def test_more_than_a_hundred_waiting_orders_are_cut_and_counted() -> None:
    """The hundred most urgent are shown, and the true number beside them."""
    engine = quiet_shop()
    told = [
        event("order.paid", f"C{number:03}", NOON_MS - number * SECOND_MS) for number in range(130)
    ]
    engine.handle(Batch(tuple(told)), NOON_MS)
    now = look(engine)
    assert (len(now.orders), now.orders_total) == (100, 130)
    assert now.orders[0].order_id == "C129"
