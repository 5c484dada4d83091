"""Names as small numbers: those of the configuration always have one, others up to a limit."""

from collections.abc import Sequence

from monitor.core.orders.names import NAMES_MAX, NameBook
from monitor.core.orders.shard import Shard
from monitor.model.events import OrderEvent
from monitor.model.settings import ChannelSettings, Settings, SourceSettings

T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def filled(n: int) -> NameBook:
    book = NameBook()
    for index in range(n):
        book.name("channel", f"c{index}")
    return book


def configured(*channels: str, sources: Sequence[str] = ()) -> Settings:
    return Settings(
        channels=tuple(ChannelSettings(name) for name in channels),
        sources=tuple(SourceSettings(name) for name in sources),
    )


def test_configured_name_is_itself_beyond_the_limit() -> None:
    """Added by a reload after 200 unknown ones."""
    book = filled(NAMES_MAX + 1)
    assert book.name("channel", f"c{NAMES_MAX}") == "other"
    book.know(configured("mine"))
    assert book.name("channel", "mine") == "mine"
    code, *_ = book.codes("mine", "shop", None, None)
    assert book.names().channel[code] == "mine"


def test_whoever_calls_himself_all_orders_is_other() -> None:
    """`*` and `all` are the scopes of the whole shop: a metric would have two series of one name."""
    book = filled(0)
    for label in ("channel", "source", "provider", "sku"):
        assert [book.name(label, name) for name in ("*", "all", "any")] == ["other", "other", "any"]
    code, *_ = book.codes("*", "shop", None, None)
    assert book.names().channel[code] == "other"


def test_configured_names_take_no_room_from_others() -> None:
    """Three configured, one of them seen before: 200 others have names, the next is `other`."""
    book = filled(1)
    book.know(configured("c0", "a", "b"))
    for index in range(NAMES_MAX):
        assert book.name("channel", f"x{index}") == f"x{index}"
    assert book.name("channel", "late") == "other"
    assert len(book.names().channel) == 3 + NAMES_MAX + 1


def test_all_names_of_a_snapshot_come_back_as_themselves() -> None:
    """Also when fewer are configured now than when it was written, and the next one is `other`."""
    written = filled(NAMES_MAX + 1)
    written.know(configured(*(f"mine{index}" for index in range(5))))
    book = NameBook()
    book.restore(written.names())
    assert book.names() == written.names()
    assert book.name("channel", "mine4") == "mine4"
    assert book.name("channel", "new") == "other"


def event(kind: str, order_id: str, **given: str) -> OrderEvent:
    named = {"source": "shop", **given}
    source = named.pop("source")
    return OrderEvent(kind, order_id, source, f"{order_id}{kind}", T0, T0, **named)  # type: ignore[arg-type]  # names only


def test_channel_added_by_a_reload_counts_for_itself() -> None:
    """A shard that has met 250 unknown channels, and then learns that one is ours."""
    shard = Shard(Settings())
    for index in range(250):
        shard.fold(event("order.paid", f"o{index}", channel=f"c{index}"))
    shard.configure(configured("mine"))
    shard.fold(event("order.paid", "last", channel="mine"))
    shard.settle()
    rows = shard.observe()
    assert (rows.channel == rows.names.channel.index("mine")).sum() == 1


def test_configured_sources_have_their_name_and_take_no_room_from_others() -> None:
    """300 configured ones and 250 strangers: all of ours and 200 of these are told apart."""
    ours = [f"mine{index}" for index in range(300)]
    shard = Shard(configured(sources=ours))
    for source in [*(f"s{index}" for index in range(250)), *ours]:
        shard.fold(event("order.paid", f"of {source}", source=source))
    assert len(shard.sources) == 300 + NAMES_MAX + 1
    assert len(shard.tallies.arrivals.names) == 300 + NAMES_MAX + 1
    shard.settle()
    rows = shard.observe()
    assert (rows.source == rows.names.source.index("mine299")).sum() == 1
    assert (rows.source == rows.names.source.index("other")).sum() == 50


def test_provider_beyond_the_limit_is_other() -> None:
    """Whoever invents providers cannot fill the memory; who names none takes no room."""
    shard = Shard(Settings())
    shard.fold(event("order.created", "first"))
    for index in range(250):
        shard.fold(event("order.created", f"o{index}", provider=f"p{index:03}"))
    shard.settle()
    names = shard.tallies.callbacks.names
    assert len(names) == NAMES_MAX + 2
    assert {"unknown", "other", "p199"} <= set(names)
