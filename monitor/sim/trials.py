"""Many trials, one seed after the other: `python -m monitor.sim.trials --seed 1 --hours 60`.

Hours are shared out among seeds, so that ten thousand hours are a thousand different stories. A
seed that fails prints what is wrong and the command that repeats it.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import msgspec

from monitor.model.times import HOUR_MS, SECOND_MS
from monitor.sim.books import Books
from monitor.sim.faults import KINDS
from monitor.sim.trial import Plan, held, uncollected

MODULE = "monitor.sim.trials"
HOURS_EACH = 5.0
RATE_DEFAULT = 1.5
OK, FAILED = 0, 1


class Result(msgspec.Struct, frozen=True):
    """What became of one seed."""

    seed: int
    hours: float
    trace_hash: str
    wrong: tuple[str, ...]
    orders: int
    cases: int
    switches: int
    lives: int
    faults: int
    struck: dict[str, int]
    cpu_s: float
    repeat: str


def tried(plan: Plan) -> Result:
    """Hold one trial and compare its books."""
    began_s = time.process_time()
    with uncollected():  # until nothing of the trial is left to be looked through
        found = _tried(plan)
    return msgspec.structs.replace(found, cpu_s=round(time.process_time() - began_s, 3))


def _tried(plan: Plan) -> Result:
    ending = held(plan)
    books = Books(ending)
    wrong = tuple(books.wrongs())
    return Result(
        seed=plan.seed,
        hours=plan.hours,
        trace_hash=ending.trace_hash(),
        wrong=wrong,
        orders=len(ending.town.shop.orders),
        cases=len(books.cases),
        switches=ending.town.shop.epoch,
        lives=ending.lives,
        faults=ending.faults,
        struck=ending.struck,
        cpu_s=0.0,
        repeat=command(plan),
    )


def command(plan: Plan) -> str:
    """The command that repeats a trial."""
    words = [
        f"python -m {MODULE} --seed {plan.seed} --hours {plan.hours:g} --hours-each {plan.hours:g}"
    ]
    if plan.kinds != KINDS:
        words.append(f"--faults {','.join(plan.kinds) or 'none'}")
    if plan.faults_per_minute != RATE_DEFAULT:
        words.append(f"--rate {plan.faults_per_minute:g}")
    return " ".join(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold the trials that were asked for; 0 if nothing was wrong in any."""
    options = parser().parse_args(arguments)
    results = ran(options)
    if options.json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(results), indent=2) + "\n")
    else:
        sys.stdout.write(summary(results) + "\n")
    return FAILED if any(one.wrong for one in results) else OK


def ran(options: argparse.Namespace) -> list[Result]:
    """Hold the trials that options ask for, saying how it goes unless JSON is wanted."""
    logging.disable(logging.CRITICAL)  # thousands of planned failures
    plans = _plans(options)
    results: list[Result] = []
    for result in _held(plans, options.jobs):
        results.append(result)
        if not options.json:
            _say(result, len(results), len(plans))
    logging.disable(logging.NOTSET)
    return results


def summary(results: Sequence[Result]) -> str:
    """One line about all of them."""
    hours = sum(one.hours for one in results)
    cpu_s = sum(one.cpu_s for one in results)
    struck = sum(sum(one.struck.values()) for one in results)
    failed = sum(bool(one.wrong) for one in results)
    return (
        f"{len(results)} seeds, {hours:g} h, {sum(one.orders for one in results)} orders, "
        f"{sum(one.faults for one in results)} faults, {struck} connections struck, "
        f"{sum(one.lives for one in results)} lives, {sum(one.cases for one in results)} takeovers, "
        f"{sum(one.switches for one in results)} switches, {failed} seeds failed; "
        f"{hours * HOUR_MS / SECOND_MS / max(cpu_s, 0.001):,.0f} times real time by CPU"
    )


def parser() -> argparse.ArgumentParser:
    """The options of a run of trials."""
    made = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    made.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    made.add_argument("--hours", type=float, default=HOURS_EACH, help="virtual hours in all")
    made.add_argument("--hours-each", type=float, default=HOURS_EACH, help="hours of one seed")
    made.add_argument(
        "--faults", default="all", help=f"all, none, or some of {','.join(KINDS)} (default all)"
    )
    made.add_argument("--rate", type=float, default=RATE_DEFAULT, help="faults per minute")
    made.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    made.add_argument("--json", action="store_true", help="print a list of results as JSON")
    return made


def _plans(options: argparse.Namespace) -> list[Plan]:
    kinds = _kinds(options.faults)
    count = max(1, math.ceil(options.hours / options.hours_each))
    return [
        Plan(
            seed=options.seed + index,
            hours=options.hours / count,
            kinds=kinds,
            faults_per_minute=options.rate,
        )
        for index in range(count)
    ]


def _kinds(text: str) -> tuple[str, ...]:
    if text in {"all", "none"}:
        return KINDS if text == "all" else ()
    chosen = tuple(text.split(","))
    if strange := [one for one in chosen if one not in KINDS]:
        raise SystemExit(
            f"error: no such fault: {', '.join(strange)}; choose from {', '.join(KINDS)}"
        )
    return chosen


def _held(plans: list[Plan], jobs: int) -> Iterator[Result]:
    if jobs <= 1:
        yield from map(tried, plans)
        return
    with ProcessPoolExecutor(min(jobs, os.cpu_count() or 1), max_tasks_per_child=20) as pool:
        yield from pool.map(tried, plans)


def _say(result: Result, done: int, of: int) -> None:
    state = "FAILED" if result.wrong else "ok"
    sys.stdout.write(
        f"[{done}/{of}] seed {result.seed} {state}: {result.hours:g} h, {result.orders} orders, "
        f"{result.faults} faults, {result.lives} lives, {result.cases} takeovers, "
        f"{result.switches} switches, {result.cpu_s:.1f} s, trace {result.trace_hash[:16]}\n"
    )
    for one in result.wrong:
        sys.stdout.write(f"    {one}\n")
    if result.wrong:
        sys.stdout.write(f"    repeat: {result.repeat}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
