"""The simulation of `make bench` about silent shops, smaller: same functions, seeded."""

import numpy as np
import pytest

from benchmarks.bench_silence import is_by_day, month


@pytest.mark.parametrize(("per_day", "shops"), [(50, 4), (1_000, 2)])
def test_healthy_shop_is_hardly_ever_silent_and_a_dead_one_is_told_as_soon(
    per_day: int, shops: int
) -> None:
    """One rate for all hours cries wolf every night; by day it is no quicker."""
    nights = [month(per_day, 50 + shop) for shop in range(shops)]
    own, flat = np.sum([night.spells for night in nights], axis=0)
    assert own <= 2
    assert flat > 10 * shops
    minutes = np.concatenate([night.minutes for night in nights], axis=1)
    by_day = is_by_day(np.concatenate([night.deaths_ms for night in nights]))
    assert len(by_day) > 20
    own_min, flat_min = np.median(minutes[:, by_day], axis=1)
    assert own_min <= flat_min
