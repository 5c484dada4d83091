"""Tells in the log what was wrong with webhooks, each thing once a minute and with its count.

Whoever connects a shop has to see that its calls come in and are not believed; a stranger who calls
all day must not fill the disk. Sources are configured ones and things are few, so this stays small.
"""

from __future__ import annotations

import logging

from monitor.model.times import MINUTE_MS

log = logging.getLogger("monitor.hooks")


class Refusals:
    """What was wrong since it was told last, by source."""

    def __init__(self) -> None:
        self._told_ms: dict[tuple[str, str], int] = {}
        self._untold: dict[tuple[str, str], int] = {}

    def note(self, event: str, source: str, what: str, now_ms: int) -> None:
        """Count one; `event` is the name of the line and `what` a text of ours, never the sender's."""
        key = (source, what)
        self._untold[key] = self._untold.get(key, 0) + 1
        if now_ms - self._told_ms.get(key, now_ms - MINUTE_MS) < MINUTE_MS:
            return
        self._told_ms[key] = now_ms
        fields = {"source": source, "what": what, "count": self._untold.pop(key)}
        log.warning(event, extra={"fields": fields})
