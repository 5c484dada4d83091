"""The same seed in processes with other hash seeds, and on other Pythons: the same trace (P6).

    python -m benchmarks.same_trace [--seeds N] [--hours N] [--python PATH]... [--record]

Each process holds one trial of the simulation, the whole service through hours of faults, and says
the hash of its trace: every byte of the log and everything the world saw. `--python` names another
interpreter that has the packages of requirements.lock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.promises import record

ROOT = Path(__file__).resolve().parents[1]
HASH_SEEDS = ("0", "1", "4711")
WITHIN_S = 1_800.0
_VERSION = "import platform; print(platform.python_version())"


class _Said(msgspec.Struct):
    trace_hash: str


class Run(msgspec.Struct, frozen=True):
    """One process: what it was given, and the hash of its trace."""

    seed: int
    python: str
    hash_seed: str
    trace_hash: str


def traced(seed: int, hours: float, python: str, hash_seed: str) -> Run:
    """Hold one trial in a process of its own."""
    command = ["-m", "monitor.sim.trials", "--json", "--seed", str(seed), "--hours", f"{hours:g}",
               "--hours-each", f"{hours:g}"]  # fmt: skip
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [python, *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=WITHIN_S,
    ).stdout
    (one,) = msgspec.json.decode(said, type=list[_Said])
    return Run(seed, python, hash_seed, one.trace_hash)


def different(runs: Sequence[Run]) -> list[Run]:
    """Runs whose trace is not that of the first run with their seed."""
    first: dict[int, str] = {}
    return [one for one in runs if first.setdefault(one.seed, one.trace_hash) != one.trace_hash]


def main() -> int:
    """Run, compare, print, record; 1 when a trace differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--python", action="append", default=[], metavar="PATH")
    parser.add_argument("--record", action="store_true", help="keep the figure of P6")
    options = parser.parse_args()
    pythons = [sys.executable, *options.python]
    runs = [
        traced(seed, options.hours, python, hash_seed)
        for seed in range(1, options.seeds + 1)
        for python in pythons
        for hash_seed in HASH_SEEDS
    ]
    wrong = different(runs)
    versions = ", ".join(
        subprocess.run(
            [one, "-c", _VERSION], capture_output=True, check=True, text=True
        ).stdout.strip()
        for one in pythons
    )
    note = f"{options.seeds} seeds of {options.hours:g} h, {len(HASH_SEEDS)} hash seeds, Python {versions}"
    print(f"{len(runs)} runs, {note}: {len(wrong)} differ")
    print("\n".join(map(str, wrong)))
    if options.record:
        record("P6", tried=len(runs), violations=len(wrong), note=note)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
