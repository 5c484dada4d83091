"""Signed messages are known for twice the window, no longer, and never as each other."""

import pytest

from monitor.model.errors import AuthError, CapacityError, InputError
from monitor.model.notes import MessageTaken
from monitor.model.times import MINUTE_MS
from monitor.runtime.messages import STORED_MS, WINDOW_MS, Messages

T0 = 1_790_000_000_000


def message(
    name: str = "m1", *, source: str = "shop", digest: int = 1, at_ms: int = T0
) -> MessageTaken:
    return MessageTaken(source, name, f"{digest:016x}", at_ms, at_ms)


def taken(*messages: MessageTaken, window_ms: int = WINDOW_MS) -> Messages:
    made = Messages(window_ms)
    for one in messages:
        made.take(one)
    return made


def test_message_is_known_by_source_and_id() -> None:
    """Another source may use the same id."""
    messages = taken(message())
    assert messages.is_known(message())
    assert not messages.is_known(message("m2"))
    assert not messages.is_known(message(source="other"))


def test_other_body_under_a_known_id_is_refused() -> None:
    """It is no repeat, and no message of its own."""
    with pytest.raises(InputError) as caught:
        taken(message(digest=1)).is_known(message(digest=2))
    assert caught.value.code == "webhook_id_reused"


@pytest.mark.parametrize("window_ms", [30_000, 300_000, 900_000])
def test_message_is_known_for_twice_the_window(window_ms: int) -> None:
    """A signature from the future could come again that long; a minute later it is forgotten."""
    messages = taken(message(), window_ms=window_ms)
    messages.drain(T0 + 2 * window_ms)
    assert messages.is_known(message())
    messages.drain(T0 + 2 * window_ms + MINUTE_MS)
    assert (messages.count, messages.is_known(message())) == (0, False)


def test_page_brings_back_what_was_taken() -> None:
    """Written once, also when asked again; a page cut short counts as far as it is whole."""
    messages = taken(message("m1", digest=2**64 - 1), message("m2", digest=0))
    page = messages.drain(T0)
    assert page is not None
    assert (page.last_ms, page.forget_before_ms, len(page.body)) == (T0, T0 - STORED_MS, 48)
    assert messages.drain(T0) is None
    revived = Messages()
    revived.load([page])
    assert revived.count == 2
    assert revived.is_known(message("m1", digest=2**64 - 1))
    assert revived.drain(T0) is None
    torn = Messages()
    torn.load([type(page)(page.last_ms, page.body[:-1])])
    assert torn.count == 1


def test_full_memory_refuses_new_ones_until_old_ones_are_past() -> None:
    """Nothing is forgotten early: that would be a way to send it again."""
    refused: list[int] = []
    messages = Messages(messages_max=2, on_full=lambda: refused.append(1))
    messages.check_room(T0)
    for name in ("m1", "m2"):
        messages.take(message(name))
    with pytest.raises(CapacityError) as caught:
        messages.check_room(T0 + WINDOW_MS)
    assert (caught.value.retry_after_s, refused) == (30, [1])
    assert messages.is_known(message("m1"))
    messages.check_room(T0 + 2 * WINDOW_MS + MINUTE_MS)


def test_widened_window_does_not_let_forgotten_messages_in_again() -> None:
    """What was forgotten under the short window is too old under the long one."""
    messages = taken(message(), window_ms=30_000)
    now_ms = T0 + 120_000
    messages.drain(now_ms)
    messages.set_window(900_000, now_ms)
    with pytest.raises(AuthError) as caught:
        messages.is_known(message())
    assert caught.value.code == "stale_signature"
    assert not messages.is_known(message("m2", at_ms=now_ms + 840_000))
