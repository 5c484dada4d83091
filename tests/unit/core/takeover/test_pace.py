"""How fast one channel is submitted to: slots, retries, throttling, ambiguity."""

import msgspec

from monitor.core.takeover.pace import ChannelPace, Pace, Wait
from monitor.core.takeover.steps import moved, with_attempt
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.model.takeovers import Attempt, AttemptState, CaseState, TakeoverCase

SETTINGS = Settings(fallback=FallbackSettings(max_ambiguous=2))
ASKED = ChannelSettings("asked", kind="http", capability="queryable")
BLIND = ChannelSettings("blind", kind="http", capability="opaque")
STAFF = ChannelSettings("staff", kind="manual")


def claimed(number: int) -> TakeoverCase:
    return TakeoverCase(f"t{number}", f"o{number}", CaseState.CLAIMED, "c", 1, 0, 0, "auto")


def submitted(case: TakeoverCase, channel: str, now_ms: int = 0) -> TakeoverCase:
    number = len(case.attempts) + 1
    attempt = Attempt(
        f"{case.takeover_id}-{number}", channel, number, AttemptState.SUBMITTING, now_ms, now_ms
    )
    attempts = (*case.attempts, attempt)
    return moved(case, now_ms, state=CaseState.SUBMITTING, attempts=attempts)


def answered(case: TakeoverCase, state: str, case_state: str, **more: object) -> TakeoverCase:
    changed = msgspec.structs.replace(case.attempts[-1], state=state, **more)
    return moved(with_attempt(case, changed), case.changed_ms + 1, state=case_state)


class World:
    """A pace and the cases that it follows."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.cases: dict[str, TakeoverCase] = {}

    def take(self, case: TakeoverCase) -> TakeoverCase:
        self.pace.follow(self.cases.get(case.takeover_id), case)
        self.cases[case.takeover_id] = case
        return case

    def wait(
        self, channel: ChannelSettings, case: TakeoverCase, now_ms: int = 0, *, vip: bool = False
    ) -> Wait | None:
        return self.pace.wait(case, channel, SETTINGS, now_ms, is_privileged=vip)


def test_new_channel_takes_three_ordinary_orders_and_one_for_whom_a_slot_is_kept() -> None:
    """Four slots, of which one is for VIP and L3."""
    world = World()
    for number in range(3):
        assert world.wait(ASKED, claimed(number)) is None
        world.take(submitted(claimed(number), "asked"))
    assert world.wait(ASKED, claimed(3)) == Wait("slots")
    assert world.wait(ASKED, claimed(3), vip=True) is None
    world.take(submitted(claimed(3), "asked"))
    assert world.wait(ASKED, claimed(4), vip=True) == Wait("slots")


def test_people_are_not_paced() -> None:
    """Their queue may be as long as it is."""
    world = World()
    for number in range(9):
        world.take(submitted(claimed(number), "staff"))
    assert world.wait(STAFF, claimed(9)) is None


def test_answers_add_slots_up_to_32_and_silence_takes_a_tenth_down_to_4() -> None:
    """AIMD: +1 for an answer while at least half are used, ×0.9 for an unknown outcome."""
    pace = ChannelPace()
    for _ in range(100):
        pace.answered(under_way=32)
    assert pace.slots == 32
    pace.overwhelmed()
    assert pace.slots_milli == 28_800
    pace.answered(under_way=13)  # fewer than half of 28
    assert pace.slots_milli == 28_800
    for _ in range(100):
        pace.overwhelmed()
    assert pace.slots == 4


def test_one_slot_in_five_is_kept() -> None:
    """Of 4 one, of 10 two, of 32 six."""
    rooms = [ChannelPace(n * 1_000).room(is_privileged=False) for n in (4, 10, 32)]
    assert rooms == [3, 8, 26]


def test_unknown_outcomes_narrow_the_channel_and_refusals_do_not() -> None:
    """Out of stock is an answer; a timeout is not."""
    world = World()
    for number in range(3):
        world.take(submitted(claimed(number), "asked"))
    world.take(answered(world.cases["t0"], "disproved", "claimed", code="out_of_stock"))
    assert world.pace.of("asked").slots_milli == 5_000
    world.take(answered(world.cases["t1"], "unknown", "unknown"))
    assert world.pace.of("asked").slots_milli == 4_500
    assert (world.pace.under_way["asked"], world.pace.ambiguous["asked"]) == (1, 2)


def test_same_move_followed_twice_changes_nothing() -> None:
    """The desk applies what it decided, and the engine applies it again."""
    world = World()
    world.take(submitted(claimed(0), "asked"))
    case = world.take(answered(world.cases["t0"], "unknown", "unknown"))
    before = msgspec.json.encode(world.pace.channels)
    world.take(case)
    world.take(msgspec.json.decode(msgspec.json.encode(case), type=TakeoverCase))
    assert msgspec.json.encode(world.pace.channels) == before
    assert world.pace.ambiguous == {"asked": 1}


def test_retries_are_one_for_five_first_attempts_and_ten_a_minute() -> None:
    """The reserve is used up by ten; then one comes back every six seconds."""
    pace = ChannelPace()
    for _ in range(10):
        pace.tried(is_retry=True, now_ms=0)
    assert (pace.retries_left(0), pace.retry_at_ms(0)) == (0, 6_000)
    assert (pace.retries_left(5_999), pace.retries_left(6_000)) == (0, 1)
    for _ in range(5):
        pace.tried(is_retry=False, now_ms=0)
    assert (pace.retries_left(0), pace.retry_at_ms(0)) == (1, 0)
    pace.tried(is_retry=True, now_ms=0)
    assert pace.retry_at_ms(0) == 6_000


def test_retry_that_is_not_paid_for_waits_and_a_first_attempt_does_not() -> None:
    """An outage is not answered by three times the load."""
    world = World()
    world.pace.channels["asked"] = ChannelPace(reserve_milli=0)
    tried = answered(submitted(claimed(0), "asked"), "disproved", "claimed", reason="retry_same")
    assert world.wait(ASKED, tried) == Wait("retry_budget", 6_000)
    assert world.wait(ASKED, claimed(1)) is None


def test_channel_that_asked_to_be_left_alone_gets_nothing_from_anybody() -> None:
    """Not only the order that was refused waits."""
    world = World()
    world.take(submitted(claimed(0), "asked"))
    told = answered(world.cases["t0"], "unknown", "unknown", throttled_until_ms=60_000)
    world.take(told)
    wait = world.wait(ASKED, claimed(1), now_ms=59_999)
    assert wait is not None
    assert wait.reason == "throttled"
    assert wait.until_ms is not None
    assert 60_000 <= wait.until_ms <= 62_000
    assert world.wait(ASKED, claimed(1), now_ms=60_000) is None


def test_opaque_channel_leaves_no_more_open_than_allowed() -> None:
    """Two are in doubt, also with a person: the third waits until one of them is known."""
    world = World()
    for number in range(2):
        world.take(submitted(claimed(number), "blind"))
        world.take(answered(world.cases[f"t{number}"], "unknown", "escalated"))
    assert world.wait(BLIND, claimed(2), vip=True) == Wait("ambiguous")
    world.take(moved(world.cases["t0"], 5, state=CaseState.DELIVERED, resolution="x"))
    assert world.wait(BLIND, claimed(2)) is None
