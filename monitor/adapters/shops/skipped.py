"""Tells of a row that nobody understands: its key and what is wrong, never what stands in it."""

from __future__ import annotations

import logging

from monitor.model.errors import InputError

log = logging.getLogger("monitor.shops")


def skipped(source: str, row_id: object, error: Exception, before: int) -> int:
    """Say which row is left out; returns how many are since the start, `before` plus this one.

    Errors of our own quote nothing; of others only the type is told.
    """
    told = str(error) if isinstance(error, InputError) else type(error).__name__
    fields = {"source": source, "row": row_id, "error": told, "skipped": before + 1}
    log.warning("row_not_understood", extra={"fields": fields})
    return before + 1
