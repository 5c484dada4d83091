"""The clock is the machine's, ids and tokens are random and of the promised size."""

import re
import time

from monitor.adapters.clock import SystemClock
from monitor.adapters.ids import RandomIds


def test_clock_tells_the_machines_time() -> None:
    """Between two readings of the machine, in milliseconds."""
    before = int(time.time() * 1000)
    told = SystemClock().now_ms()
    assert before - 1 <= told <= time.time() * 1000 + 1


def test_ids_and_tokens_are_never_equal() -> None:
    """A thousand of each, all different; forms as documented."""
    ids = RandomIds()
    assert len({ids.new_id("tk") for _ in range(1_000)}) == 1_000
    assert len({ids.new_token() for _ in range(1_000)}) == 1_000
    assert re.fullmatch(r"tk_[0-9a-f]{20}", ids.new_id("tk"))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ids.new_token())
    assert len(ids.new_bytes(7)) == 7
