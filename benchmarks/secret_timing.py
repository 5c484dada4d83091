"""Does the time of a refusal tell which sources exist, or how much of a signature was right?

    python -m benchmarks.secret_timing --count 100000

Each comparison takes two sorts of wrong requests in random order and asks whether their times
differ: Welch's t over the fastest 90 %, as dudect does. A difference counts where |t| is beyond 4.5
and somebody could see it. The first line is the control: two times the same sort. It belongs to no
test: a busy machine tells nothing.

Source: Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?", 2017.
"""

from __future__ import annotations

import argparse
import base64
import random
import sys
import time
from collections.abc import Sequence

import numpy as np

from monitor.adapters.signing import webhook_headers
from monitor.api.signed import Signatures
from monitor.model.endpoints import SourceSecrets
from monitor.model.errors import AuthError
from monitor.model.secret import Secret

T_MAX = 4.5
SEEN_NS = 50  # a probe of a dictionary; a network hides a thousand times as much
FASTEST = 0.9
CONTROL = "the same sort twice"
NOW_MS = 1_790_000_000_000
BODY = b'{"type":"order.paid","order_id":"A1","id":"e1"}'

Sort = tuple[str, range]
"""The source that is named, and the places at which the signature may be wrong."""

_EARLY, _LATE = range(3, 12), range(35, 46)  # of 47 characters: v1, and 44 of base64
PAIRS: dict[str, tuple[Sort, Sort]] = {
    CONTROL: (("one", _EARLY), ("one", _EARLY)),
    "a source that exists, one that does not": (("one", _EARLY), ("xyz", _EARLY)),
    "one secret, two secrets": (("one", _EARLY), ("two", _EARLY)),
    "wrong at the beginning, wrong at the end": (("one", _EARLY), ("one", _LATE)),
}


def times_ns(pair: tuple[Sort, Sort], order: Sequence[int], chance: random.Random) -> list[int]:
    """How long each refusal took; `order` says of which sort it is.

    A request is made just before it is timed, so that both sorts come from the same memory.
    """
    secrets = [Secret("whsec_" + base64.b64encode(chance.randbytes(32)).decode()) for _ in range(3)]
    sources = (SourceSecrets("one", (secrets[0],)), SourceSecrets("two", tuple(secrets[1:])))
    signatures = Signatures(sources)
    headers = webhook_headers(secrets[0], "msg_1", NOW_MS, BODY)
    good = headers["webhook-signature"].encode()
    taken: list[int] = []
    for kind in order:
        source, places = pair[kind]
        text = bytearray(good)
        text[chance.choice(places)] ^= 1  # in place: the allocator does the same for every place
        headers["webhook-signature"] = text.decode()
        began_ns = time.perf_counter_ns()
        try:
            signatures.verify(headers, source, BODY, NOW_MS)
        except AuthError:
            taken.append(time.perf_counter_ns() - began_ns)
    assert len(taken) == len(order), "a wrong signature was taken"
    return taken


def compare(pair: tuple[Sort, Sort], count: int, seed: int) -> tuple[float, float]:
    """Time both sorts in random order.

    Returns: Welch's t of the fastest nine in ten, and how many ns the first takes longer.
    """
    order = np.random.default_rng(seed).integers(0, 2, count)
    times = np.array(times_ns(pair, order.tolist(), random.Random(seed)), dtype=float)
    kept = times <= np.quantile(times, FASTEST)
    first, second = times[kept & (order == 0)], times[kept & (order == 1)]
    spread = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    longer_ns = float(first.mean() - second.mean())
    return longer_ns / float(np.sqrt(spread)), longer_ns


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a difference shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    is_told = False
    for name, pair in PAIRS.items():
        t, longer_ns = compare(pair, options.count, options.seed)
        is_told |= abs(t) > T_MAX and abs(longer_ns) > SEEN_NS
        print(f"t = {t:+6.1f}  {longer_ns:+7.1f} ns  {name}")
    return int(is_told)


if __name__ == "__main__":
    sys.exit(main())
