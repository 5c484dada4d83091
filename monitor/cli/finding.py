"""One line of `doctor`: what was looked at, what was found, what to do about it."""

from __future__ import annotations

import msgspec

OK = "ok"
WAITING = "waiting"  # nothing is wrong, something has not happened yet
BAD = "finding"


class Finding(msgspec.Struct, frozen=True):
    """`state` is ok, waiting or finding; only a finding makes `doctor` end with 1."""

    check: str
    state: str
    found: str
    advice: str = ""
