"""Dead receivers delay the others by nothing that can be measured (P27); small here.

`python -m benchmarks.receivers --record` measures it at full size.
"""

from benchmarks.receivers import p99_ratio


async def test_dead_receivers_do_not_delay_the_others() -> None:
    """Ten receivers get their messages as soon beside five dead ones as beside five good ones."""
    assert await p99_ratio(15) < 1.5


async def test_shared_worker_would_be_seen() -> None:
    """With one worker for all, one silent receiver costs the others half a second each time."""
    assert await p99_ratio(1, lane="all") > 5
