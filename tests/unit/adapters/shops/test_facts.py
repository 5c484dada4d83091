"""Facts of shops become events: named by what the shop says, in its zone, without what was sold."""

from datetime import datetime

from monitor.adapters.shops.facts import Facts, Naming, When
from monitor.model.events import EventType

NOW = 1_790_000_000_000
SECRET = "CARD-4711-KEY"
FACTS = Facts(
    "main",
    Naming(lambda text: f"c{len(text)}", lambda text: f"g{len(text)}"),
    timezone="Asia/Shanghai",
    currency="CNY",
)


def test_naive_time_of_a_shop_is_read_in_its_zone() -> None:
    """10:00 in Shanghai is 02:00 UTC, as text and as the `datetime` of a driver."""
    expected = When(1_767_578_400_000)  # 2026-01-05T02:00:00Z
    assert FACTS.when("2026-01-05 10:00:00", NOW) == expected
    assert FACTS.when(datetime(2026, 1, 5, 10, 0, 0), NOW) == expected  # noqa: DTZ001
    assert FACTS.when(1_767_578_400, NOW) == expected


def test_no_time_is_no_time_and_a_future_one_is_ours() -> None:
    """Shops write NULL, an empty text or 0 where nothing happened; a clock far ahead is not believed."""
    assert [FACTS.when(empty, NOW) for empty in (None, "", 0)] == [None, None, None]
    assert FACTS.when(NOW // 1_000 + 3_600, NOW) == When(NOW, is_inferred=True)


def test_fact_read_twice_is_one_event() -> None:
    """The id comes from the shop's time, so a push and a later poll are duplicates."""
    pushed = FACTS.event(EventType.PAID, "A1", When(NOW - 9_000), NOW, amount_minor=100)
    polled = FACTS.event(EventType.PAID, "A1", When(NOW - 9_000), NOW + 60_000)
    later = FACTS.event(EventType.PAID, "A1", When(NOW - 8_000), NOW)
    assert pushed.event_id == polled.event_id != later.event_id
    assert (pushed.time_ms, pushed.is_inferred, pushed.source) == (NOW - 9_000, False, "main")


def test_fact_without_a_time_is_one_event_however_often_it_is_read() -> None:
    """It counts as seen first; another fact of that type needs a key."""
    first = FACTS.event(EventType.REFUNDED, "A1", None, NOW)
    again = FACTS.event(EventType.REFUNDED, "A1", None, NOW + 5)
    other = FACTS.event(EventType.REFUNDED, "A1", None, NOW, key="r2")
    assert first.event_id == again.event_id != other.event_id
    assert (first.time_ms, first.is_inferred) == (NOW, True)


def test_amounts_are_exact() -> None:
    """Nineteen ninety is 1990 fen whatever a float thinks; yen have no decimals."""
    assert FACTS.minor("19.90") == 1_990
    assert FACTS.minor("0.29") == 29
    assert FACTS.minor("1200", "JPY") == 1_200
    assert FACTS.minor("free") is None


def test_delivery_carries_digests_and_an_apology_is_a_failed_attempt() -> None:
    """The text of a card is nowhere in the event; an apology in its place delivers nothing."""
    good = FACTS.delivered("A1", When(NOW), NOW, SECRET, quantity=1)
    assert good.type == EventType.DELIVERED
    assert good.goods == (f"g{len(SECRET)}",)
    assert SECRET not in repr(good)
    sorry = FACTS.delivered(
        "A1", When(NOW), NOW, "很抱歉，有人在你付款之前抢走了商品，请联系客服。"
    )
    assert (sorry.type, sorry.goods) == (EventType.ATTEMPT_FAILED, ())
    assert sorry.reason == "delivered_without_goods"


def test_what_a_shop_writes_keeps_the_limits_of_events() -> None:
    """Texts are cut and lose what cannot be printed, numbers no log can hold are none."""
    event = FACTS.event(
        EventType.PAID, "A" * 300, When(NOW), NOW, key="k" * 300,
        sku="x" * 300, provider="a\x00\ud800b\n", amount_minor=2**70, quantity=-1, reason="",
    )  # fmt: skip
    assert (len(event.order_id), len(event.event_id), len(event.sku or "")) == (128, 128, 256)
    assert (event.provider, event.amount_minor, event.quantity) == ("ab", None, None)
    assert event.reason is None
    assert FACTS.when(-5, NOW) is None


def test_reason_does_not_name_the_buyer() -> None:
    """An address or a number in the text of an error is masked, as in events from outside."""
    event = FACTS.event(EventType.FAILED, "A1", None, NOW, reason="no answer from jon@example.com")
    assert event.reason == "no answer from ***"
