"""What goes wrong with one request, drawn from the seed and the name of the request.

lost          reset before anything was done
unanswered    done, then reset
stalled       done, and no answer until nobody waits any more
late          reset at once, done a moment later, within the settle time
page          a page of a proxy in between: 404 or 502 in HTML, nothing done
"""

from __future__ import annotations

import hashlib
import random

LOST, UNANSWERED, STALLED, LATE, PAGE, NONE = "lost", "unanswered", "stalled", "late", "page", ""
# Shares of requests, in percent.
OF_SUBMIT = ((LOST, 7), (UNANSWERED, 7), (STALLED, 2), (LATE, 6), (PAGE, 4))
OF_QUERY = ((LOST, 8), (PAGE, 8))
OF_SHOP = ((LOST, 6), (UNANSWERED, 6))

CLOCK_MS = 3_600_000
# Shares of lives, in percent: their clock is wrong when they begin, or is set wrong while they run.
OF_CLOCK = ((0, 6), (1, 6))
CLOCK_SET_S = (0.2, 1.5)


def wrong_clock(chance: random.Random) -> tuple[int, float]:
    """By how much the clock of a life is wrong, and after how many seconds of it; mostly not at all."""
    drawn = 100 * chance.random()
    by_ms = chance.choice((-CLOCK_MS, CLOCK_MS))
    after_s = chance.uniform(*CLOCK_SET_S)
    for is_set_later, percent in OF_CLOCK:
        if drawn < percent:
            return by_ms, after_s * is_set_later
        drawn -= percent
    return 0, 0.0


def share01(*names: object) -> float:
    """A number in [0, 1) that belongs to these names."""
    digest = hashlib.blake2b("\t".join(map(str, names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def fault(table: tuple[tuple[str, int], ...], *names: object) -> str:
    """What happens to this request; nothing, mostly."""
    drawn = 100 * share01("fault", *names)
    for kind, percent in table:
        if drawn < percent:
            return kind
        drawn -= percent
    return NONE
