"""What goes wrong with one request, drawn from the seed and the name of the request.

lost          reset before anything was done
unanswered    done, then reset
stalled       done, and no answer until nobody waits any more
late          reset at once, done a moment later, within the settle time
page          a page of a proxy in between: 404 or 502 in HTML, nothing done
"""

from __future__ import annotations

import hashlib

LOST, UNANSWERED, STALLED, LATE, PAGE, NONE = "lost", "unanswered", "stalled", "late", "page", ""
# Shares of requests, in percent.
OF_SUBMIT = ((LOST, 7), (UNANSWERED, 7), (STALLED, 2), (LATE, 6), (PAGE, 4))
OF_QUERY = ((LOST, 8), (PAGE, 8))
OF_SHOP = ((LOST, 6), (UNANSWERED, 6))


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
