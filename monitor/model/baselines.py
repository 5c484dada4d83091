"""What is normal for a channel, as it was learned: a value that is logged, never changed silently."""

from __future__ import annotations

import msgspec

HOURS = 168  # hours of a week, Monday 00:00 local time first


class Baseline(msgspec.Struct, frozen=True, omit_defaults=True):
    """The learned delays of one channel, and the limit of its chart.

    `delivered` are (bucket, count) pairs of the delay histogram after the hour-of-week's own speed
    was taken out; `never` orders were closed undelivered. `shifts` says per hour of the week by how
    many buckets (1/32 octave each) delays are longer than the overall median, `hour_n` on how many
    orders that rests. `n` orders from `from_ms` to `to_ms` were learned, without `excluded_hours`
    hours of incidents. `limit` is the chart's h, `peak` the highest value it reached in health,
    `orders_30d` the volume the limit was made for.
    """

    channel: str
    n: int
    from_ms: int
    to_ms: int
    delivered: tuple[tuple[int, int], ...]
    never: int = 0
    shifts: tuple[int, ...] = ()
    hour_n: tuple[int, ...] = ()
    excluded_hours: int = 0
    limit: float = 0.0
    peak: float = 0.0
    orders_30d: int = 0
    method: str = "prior"
    learned_ms: int = 0
