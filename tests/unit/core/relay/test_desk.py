"""The desk of one shop, as a transcript: who is sent, who waits, who is owed."""

from __future__ import annotations

from monitor.core.relay.desk import Forward, Moves, ShopDesk
from monitor.core.relay.pace import retry_ms
from monitor.model.gateways import Signature
from monitor.model.relay import Kind, RelayLimits, State, StoredItem, Verdict

DUTY, PASSING = Kind.DUTY, Kind.PASSING
DOWN, REFUSED, ACCEPTED = Verdict.DOWN, Verdict.REFUSED, Verdict.ACCEPTED


def came(desk: ShopDesk, number: int, order: str = "", kind: Kind = DUTY, at: int = 0) -> Moves:
    return desk.arrive(number, number, "main/x", order or f"o{number}", kind, at)


def sent(moves: Moves) -> list[int]:
    return [one.item for one in moves.forwards]


def fail(desk: ShopDesk, number: int, at: int) -> Moves:
    return desk.answered(number, DOWN, at)[1]


def test_callbacks_of_one_order_go_one_after_the_other() -> None:
    """The second waits for the answer to the first, another order does not."""
    desk = ShopDesk(RelayLimits())
    assert sent(came(desk, 1, "a")) == [1]
    assert sent(came(desk, 2, "a", PASSING)) == []
    assert sent(came(desk, 3, "b")) == [3]
    assert sent(desk.answered(1, ACCEPTED, 5)[1]) == [2]


def test_no_more_than_the_cap_are_at_the_shop_at_once() -> None:
    """A place becomes free with an answer, and the next in line takes it."""
    desk = ShopDesk(RelayLimits(parallel=2))
    assert [sent(came(desk, number)) for number in (1, 2, 3, 4)] == [[1], [2], [], []]
    assert sent(desk.answered(2, ACCEPTED, 5)[1]) == [3]


def test_repeat_of_what_is_at_work_sends_nothing() -> None:
    """Under a known number nothing new is sent, also while it is owed."""
    desk = ShopDesk(RelayLimits())
    came(desk, 1)
    assert came(desk, 1) == Moves()
    fail(desk, 1, 5)
    assert came(desk, 1) == Moves()
    assert desk.items[1].state == State.OWED


def test_other_body_under_the_same_key_has_the_next_turn() -> None:
    """The newest comes first and at once, for its signature is the freshest; then the older again."""
    desk = ShopDesk(RelayLimits())
    came(desk, 1)
    desk.arrive(1, 7, "main/x", "o1", DUTY, 1)
    desk.arrive(1, 8, "main/x", "o1", DUTY, 2)
    assert desk.answered(1, REFUSED, 10)[1].forwards == (Forward(1, 8, 2),)
    assert desk.answered(1, REFUSED, 20)[1].forwards == (Forward(1, 7, 3),)
    assert desk.answered(1, REFUSED, 30)[1].forwards == ()
    assert desk.tick(60_000).forwards == (Forward(1, 1, 4),)
    desk.answered(1, REFUSED, 60_000)
    assert desk.tick(120_000).forwards == (Forward(1, 8, 5),)


def test_other_body_does_not_wait_for_the_one_that_is_refused() -> None:
    """What was refused may be a forger's: the body behind it is due now, once, and a repeat is not."""
    desk = ShopDesk(RelayLimits())
    came(desk, 1)
    now_ms = 0
    for _ in range(9):
        desk.answered(1, REFUSED, now_ms)
        now_ms = desk.items[1].due_ms
        desk.tick(now_ms)
    desk.answered(1, REFUSED, now_ms)
    assert desk.items[1].due_ms > now_ms + 200_000
    assert desk.arrive(1, 7, "main/x", "o1", DUTY, now_ms + 5).forwards == (Forward(1, 7, 11),)
    desk.answered(1, REFUSED, now_ms + 10)
    assert desk.arrive(1, 7, "main/x", "o1", DUTY, now_ms + 11) == Moves()
    assert desk.items[1].due_ms > now_ms + 200_000


def test_other_body_does_not_knock_at_a_shop_that_is_down() -> None:
    """It is owed with the rest, and only the probe goes out."""
    desk = ShopDesk(RelayLimits())
    for number in (1, 2, 3):
        came(desk, number)
        fail(desk, number, number)
    assert desk.circuit.is_open
    assert desk.arrive(1, 7, "main/x", "o1", DUTY, 5) == Moves()
    assert desk.tick(5_000).forwards == (Forward(1, 7, 2),)


def test_what_nobody_checked_does_not_crowd_out_what_is_signed() -> None:
    """Anybody can make up callbacks where there is no key: room is left for those that are signed."""
    desk = ShopDesk(RelayLimits(open_max=4, unchecked_max=2))
    found = []
    for number in (1, 2, 3, 4):
        found.append((desk.has_room(Signature.VALID), desk.has_room(Signature.UNCHECKED)))
        came(desk, number)
    assert found == [(True, True), (True, True), (True, False), (True, False)]
    assert not desk.has_room(Signature.VALID)


def test_refused_duty_is_tried_on_its_own_schedule() -> None:
    """1, 2, 4 … 300 s, a quarter longer at most, never shorter."""
    desk = ShopDesk(RelayLimits())
    came(desk, 1)
    now_ms, gaps = 0, []
    for _ in range(12):
        state, _ = desk.answered(1, REFUSED, now_ms)
        assert state == State.OWED
        wake_ms = desk.wake_ms()
        assert wake_ms is not None
        assert sent(desk.tick(wake_ms - 1)) == []
        assert sent(desk.tick(wake_ms)) == [1]
        gaps.append(wake_ms - now_ms)
        now_ms = wake_ms
    plain = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000] + [300_000] * 3
    assert all(
        low <= gap <= low * 1.25 for low, gap in zip(plain, gaps, strict=True)
    )  # fmt: skip


def test_jitter_is_of_the_callback_and_the_attempt() -> None:
    """The same in every process, and different for different callbacks."""
    assert retry_ms(1, 9) == retry_ms(1, 9)
    assert len({retry_ms(number, 9) for number in range(50)}) > 40


def test_shop_that_is_down_is_tried_by_one_and_the_rest_follow_when_it_is_back() -> None:
    """No storm on a shop that starts: one request asks, then they come in the order of arrival."""
    desk = ShopDesk(RelayLimits(parallel=3))
    for number in (1, 2, 3, 4):
        came(desk, number)
    assert sent(fail(desk, 1, 10)) == [4]
    fail(desk, 2, 10)
    opened = [desk.circuit.is_open]
    fail(desk, 3, 10)
    fail(desk, 4, 11)
    assert [*opened, desk.circuit.is_open] == [False, True]
    assert came(desk, 5, at=12).held == (5,)
    assert desk.items[5].state == State.OWED
    probe = sent(desk.tick(5_000))
    assert len(probe) == 1
    state, moves = desk.answered(probe[0], ACCEPTED, 5_010)
    assert state == State.ACCEPTED
    rest = sorted({1, 2, 3, 4, 5} - {*probe})
    assert sent(moves) == rest[:3]


def test_message_of_a_gateway_that_waits_is_not_kept_for_a_shop_that_is_down() -> None:
    """It is no duty: its gateway is told at once that nobody is there."""
    desk = ShopDesk(RelayLimits())
    for number in (1, 2, 3):
        came(desk, number)
        fail(desk, number, number)
    moves = came(desk, 9, kind=PASSING, at=5)
    assert moves.held == (9,)
    assert 9 not in desk.items


def test_refusal_of_one_order_does_not_close_the_shop() -> None:
    """Only a shop that cannot be reached is down; one that says no is there."""
    desk = ShopDesk(RelayLimits())
    for number in range(1, 20):
        came(desk, number)
        desk.answered(number, REFUSED, number)
    assert desk.circuit.is_open is False


def test_gateway_that_leaves_while_its_callback_waits_leaves_a_duty() -> None:
    """It heard a yes in the place of the shop; the callback keeps its place in line."""
    desk = ShopDesk(RelayLimits(parallel=1))
    came(desk, 1)
    came(desk, 2)
    came(desk, 3, kind=PASSING)
    assert sent(desk.left(2, 100)) == []
    desk.left(3, 100)
    assert desk.items[2].state == State.OWED
    assert 3 not in desk.items
    assert sent(desk.answered(1, ACCEPTED, 200)[1]) == [2]


def test_deadline_makes_it_a_case_for_a_person() -> None:
    """72 hours after it came nothing is sent any more; once."""
    limits = RelayLimits()
    desk = ShopDesk(limits)
    came(desk, 1)
    fail(desk, 1, 5)
    over = desk.tick(limits.deadline_ms)
    assert (over.over, over.forwards) == ((1,), ())
    assert desk.tick(limits.deadline_ms + 1) == Moves()


def test_answer_behind_the_deadline_is_the_last_one() -> None:
    """A request that was at the shop when the deadline passed is not repeated."""
    limits = RelayLimits()
    desk = ShopDesk(limits)
    came(desk, 1)
    assert desk.tick(limits.deadline_ms) == Moves()
    _, moves = desk.answered(1, REFUSED, limits.deadline_ms + 1)
    assert moves.over == (1,)


def test_what_was_owed_before_a_restart_is_sent_when_it_is_due() -> None:
    """With its attempts, so that the schedule goes on where it was."""
    desk = ShopDesk(RelayLimits())
    desk.restore(StoredItem(4, (4, 6), "main/x", "a", DUTY, 0, 5, 9_000))
    assert desk.wake_ms() == 9_000
    assert sent(desk.tick(8_999)) == []
    assert desk.tick(9_000).forwards == (Forward(4, 6, 6),)


def test_owed_ones_are_not_kept_away_by_new_ones() -> None:
    """With one place they take turns."""
    desk = ShopDesk(RelayLimits(parallel=1))
    desk.restore(StoredItem(1, (1,), "main/x", "a", DUTY, 0, 1, 0))
    came(desk, 10)
    came(desk, 11)
    came(desk, 12)
    order = []
    while desk.in_flight:
        (at_shop,) = [one for one in desk.items.values() if one.state == State.SENDING]
        order.append(at_shop.item)
        desk.answered(at_shop.item, ACCEPTED, 5)
    assert sorted(order) == [1, 10, 11, 12]
    assert order.index(1) <= 1


def test_what_is_owed_of_a_relay_that_is_not_served_waits_for_it() -> None:
    """Nothing of it is sent, others go on, and its deadline holds."""
    served = {"main/y"}
    desk = ShopDesk(RelayLimits(deadline_ms=9_000), served.__contains__)
    for number, relay in ((1, "main/x"), (2, "main/y"), (3, "main/x")):
        desk.restore(StoredItem(number, (number,), relay, f"o{number}", DUTY, number, 1, 0))
    assert sent(desk.tick(10)) == [2]
    assert sent(desk.tick(5_000)) == []
    served.add("main/x")
    assert sent(desk.resume(5_001)) == [1, 3]
    served.clear()
    fail(desk, 1, 5_002)
    assert desk.tick(9_001).over == (1,)
    assert desk.resume(9_001) == Moves()


def test_what_is_at_work_is_not_taken_up_again() -> None:
    """A number that the desk has already stays at the shop."""
    desk = ShopDesk(RelayLimits())
    came(desk, 1)
    desk.restore(StoredItem(1, (1,), "main/x", "o1", DUTY, 0, 0, 0))
    assert desk.items[1].state == State.SENDING
    assert desk.answered(1, ACCEPTED, 5)[0] == State.ACCEPTED
