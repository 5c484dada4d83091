"""A send limit as robots enforce it: so many messages in any window, per robot."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """Lets at most `limit` sends happen in any `window_ms`, separately for each key.

    Not a token bucket: a full one lets twice the limit through within one window. Grows with the
    number of keys, which are endpoints of the configuration, and holds `limit` times for each.
    """

    def __init__(self, limit: int, window_ms: int) -> None:
        self._limit = limit
        self._window_ms = window_ms
        self._sent: dict[str, deque[int]] = {}

    def take(self, key: str, now_ms: int) -> int:
        """Count a send and return 0, or return the milliseconds until one is free."""
        sent = self._sent.setdefault(key, deque(maxlen=self._limit))
        # A clock set back leaves times in the future: they must not block for longer than a window.
        while sent and not now_ms - self._window_ms < sent[0] <= now_ms:
            sent.popleft()
        if len(sent) < self._limit:
            sent.append(now_ms)
            return 0
        return sent[0] + self._window_ms - now_ms
