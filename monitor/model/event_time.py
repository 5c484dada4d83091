"""When an event happened: the time rules of contract §2.

An eight-hour error must never create lateness, so a time that cannot be placed on the UTC line
with certainty gives way to the arrival time.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from monitor.model.errors import InputError
from monitor.model.times import MINUTE_MS, SECOND_MS, UnixMs, from_datetime

AHEAD_MAX_MS = 5 * MINUTE_MS
HALF_HOUR_MS = 30 * MINUTE_MS

# RFC 3339, and what PHP and MySQL print: a space for the T, an offset without colon, no zone.
_FORM = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<minute>\d\d:\d\d):(?P<second>\d\d)(?P<fraction>\.\d{1,9})?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


class EventTime(msgspec.Struct, frozen=True):
    """The time an event counts with.

    `identity` stands for the shop's own time in a content hash: it does not change with the
    arrival; None when the shop sent no time. `remark` is a warning to the sender.
    """

    time_ms: int
    identity: str | None
    is_inferred: bool = False
    remark: str | None = None


def resolve_time(text: str | None, received_ms: int, timezone: str | None) -> EventTime:
    """Place an event in time; `timezone` (IANA name) is where the source's naive times live.

    Raises: InputError `bad_time` if there is a text that is no RFC 3339 time.
    """
    if not text:
        return EventTime(received_ms, None, is_inferred=True)
    moment, leap_ms = _parse(text)
    if moment.tzinfo is None:
        zone = _zone(timezone)
        if zone is None:
            remark = (
                "time without a zone: the arrival time was used; "
                "send a zone or configure sources[].timezone"
            )
            return EventTime(received_ms, text, is_inferred=True, remark=remark)
        moment = moment.replace(tzinfo=zone)
    time_ms = _to_ms(moment) + leap_ms
    if time_ms > received_ms + AHEAD_MAX_MS:
        remark = f"time more than 5 min ahead of ours: the arrival time was used; {_guess(time_ms - received_ms)}"
        return EventTime(received_ms, str(time_ms), is_inferred=True, remark=remark)
    return EventTime(time_ms, str(time_ms))


def _guess(ahead_ms: int) -> str:
    """What may be wrong: zones differ by half hours, clocks by anything."""
    half_hours = round(ahead_ms / HALF_HOUR_MS)
    if half_hours < 2 or abs(ahead_ms - half_hours * HALF_HOUR_MS) > AHEAD_MAX_MS:
        return "check the clock"
    return f"it is {half_hours / 2:g} h ahead: is it local time with a wrong zone?"


def _parse(text: str) -> tuple[datetime, int]:
    """Read the text; a leap second is :59 plus one second."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise _bad_time()
    is_leap = form["second"] == "60"
    second = "59" if is_leap else form["second"]
    fraction = (form["fraction"] or ".0")[:7]
    zone = form["zone"] or ""
    if zone in ("Z", "z"):
        zone = "+00:00"
    elif zone and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    spelled = f"{form['day']}T{form['minute']}:{second}{fraction:0<7}{zone}"
    try:
        return datetime.fromisoformat(spelled), SECOND_MS if is_leap else 0
    except ValueError:
        raise _bad_time() from None


def _to_ms(moment: datetime) -> UnixMs:
    try:
        time_ms = from_datetime(moment)
    except OverflowError:  # the first and last day of the calendar, moved by their zone
        raise _bad_time() from None
    if time_ms < 0:
        raise _bad_time()
    return time_ms


def _zone(name: str | None) -> ZoneInfo | None:
    """Find the zone; one that the machine does not know counts as not configured."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def _bad_time() -> InputError:
    return InputError(
        "time is not an RFC 3339 time from 1970 on; write for example 2026-01-05T10:00:00+08:00",
        code="bad_time",
        pointer="/time",
    )
