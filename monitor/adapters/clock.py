"""The wall clock: the one place of the product that reads it."""

from __future__ import annotations

import time

from monitor.model.times import UnixMs


class SystemClock:
    """Tells UTC milliseconds of this machine; it may jump when the machine's clock is set."""

    def now_ms(self) -> UnixMs:
        """UTC milliseconds since 1970."""
        return UnixMs(time.time_ns() // 1_000_000)
