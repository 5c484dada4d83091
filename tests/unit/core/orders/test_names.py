"""Names as small numbers: those of the configuration always have one, others up to a limit."""

from monitor.core.orders.names import NAMES_MAX, NameBook
from monitor.core.orders.shard import Shard
from monitor.model.events import OrderEvent
from monitor.model.settings import ChannelSettings, Settings

T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def filled(n: int) -> NameBook:
    book = NameBook()
    for index in range(n):
        book.name("channel", f"c{index}")
    return book


def test_configured_name_is_itself_beyond_the_limit() -> None:
    """Added by a reload after 200 unknown ones."""
    book = filled(NAMES_MAX + 1)
    assert book.name("channel", f"c{NAMES_MAX}") == "other"
    code = book.code("channel", "mine")
    assert book.name("channel", "mine") == "mine"
    assert book.names().channel[code] == "mine"
    assert book.codes("mine", "shop", None, None)[0] == code


def test_configured_names_take_no_room_from_others() -> None:
    """Three configured, one of them seen before: 200 others have names, the next is `other`."""
    book = filled(1)
    for name in ("c0", "a", "b"):
        book.code("channel", name)
    for index in range(NAMES_MAX):
        assert book.name("channel", f"x{index}") == f"x{index}"
    assert book.name("channel", "late") == "other"
    assert len(book.names().channel) == 3 + NAMES_MAX + 1


def test_all_names_of_a_snapshot_come_back_as_themselves() -> None:
    """Also when fewer are configured now than when it was written, and the next one is `other`."""
    written = filled(NAMES_MAX + 1)
    for index in range(5):
        written.code("channel", f"mine{index}")
    book = NameBook()
    book.restore(written.names())
    assert book.names() == written.names()
    assert book.name("channel", "mine4") == "mine4"
    assert book.name("channel", "new") == "other"


def test_channel_added_by_a_reload_counts_for_itself() -> None:
    """A shard that has met 250 unknown channels, and then learns that one is ours."""
    shard = Shard(Settings())

    def paid(order_id: str, channel: str) -> OrderEvent:
        return OrderEvent("order.paid", order_id, "shop", order_id, T0, T0, channel=channel)

    for index in range(250):
        shard.fold(paid(f"o{index}", f"c{index}"))
    shard.configure(Settings(channels=(ChannelSettings("mine"),)))
    shard.fold(paid("last", "mine"))
    rows = shard.observe()
    assert (rows.channel == rows.names.channel.index("mine")).sum() == 1
