"""The sliding window that keeps robots from blocking us."""

from monitor.adapters.rate import SlidingWindow


def test_limit_holds_in_every_window() -> None:
    """Two per 100 ms: the third waits exactly until the first has left the window."""
    window = SlidingWindow(limit=2, window_ms=100)
    assert [window.take("a", at) for at in (1000, 1060, 1070, 1099)] == [0, 0, 30, 1]
    assert window.take("a", 1100) == 0
    assert window.take("a", 1101) == 59


def test_keys_do_not_share_a_limit() -> None:
    """One busy robot does not silence another."""
    window = SlidingWindow(limit=1, window_ms=100)
    assert [window.take(key, 1000) for key in ("a", "b", "a")] == [0, 0, 100]


def test_clock_set_back_does_not_block() -> None:
    """Times in the future are forgotten instead of waited for."""
    window = SlidingWindow(limit=1, window_ms=100)
    assert window.take("a", 5_000_000) == 0
    assert window.take("a", 1_000) == 0
