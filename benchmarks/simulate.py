"""Virtual hours of the whole service in bad weather, for `make sim` and `make nightly`.

    python -m benchmarks.simulate --hours 10000 --jobs 2 --mutants

Prints how fast virtual time went by CPU and writes down what P4 and P5 came to; with `--mutants`
also plants every bug of `tests/sim/mutants.py` and writes down P30.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.promises import record
from monitor.sim.trials import FAILED, OK, Result, parser, ran, summary, tried
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.planting import planted

HOURS_WORTH_KEEPING = 60.0
SEEDS_MAX = 6
UNSETTLED = "in nobody's hands"


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold the trials, then the mutants if they are wanted; 0 if nothing was wrong."""
    options_of = parser()
    options_of.add_argument("--mutants", action="store_true", help="plant every bug too")
    options = options_of.parse_args(arguments)
    results = ran(options)
    print(summary(results))
    _write_down(results)
    survivors = [one.name for one in MUTANTS if not _is_killed(one)] if options.mutants else []
    if options.mutants:
        print(f"{len(MUTANTS)} bugs planted, {len(survivors)} survived: {survivors}")
        record("P30", tried=len(MUTANTS), violations=len(survivors))
    return FAILED if survivors or any(one.wrong for one in results) else OK


def _write_down(results: Sequence[Result]) -> None:
    hours = sum(one.hours for one in results)
    if hours < HOURS_WORTH_KEEPING:
        return
    faults, orders = (sum(getattr(one, name) for one in results) for name in ("faults", "orders"))
    note = f"{faults:,} faults, {orders:,} orders, {sum(one.lives for one in results):,} lives"
    unsettled = sum(any(UNSETTLED in text for text in one.wrong) for one in results)
    record("P4", tried=hours, violations=sum(bool(one.wrong) for one in results), note=note)
    record("P5", tried=hours, violations=unsettled, note=note)


def _is_killed(mutant: Mutant) -> bool:
    for seed in dict.fromkeys((mutant.seed, *range(1, SEEDS_MAX + 1))):
        with planted(*mutant.changes):
            wrong = tried(mutant.plan(seed)).wrong
        if any(mutant.words in one for one in wrong):
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
