"""`make bench`: run every `bench_*.py`, print the table of figures and write them as JSON.

A benchmark module has one function, `rows(scale) -> Iterator[Row]`; scale 1.0 is the full size. The
run fails when a target is missed. Times are of one machine at one moment, so the table begins with
both; what must hold everywhere is a ratio within one run, or a count.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.row import Row

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results.json"

_PREFIX = "bench_"
_HEADINGS = ("group", "what", "value", "target", "", "note")
_SIGNIFICANT = 4


class Machine(msgspec.Struct, frozen=True):
    """Where and when the figures were measured; nothing that names the machine or its owner."""

    cpu: str
    cores: int
    system: str
    python: str
    numpy: str
    load_before: float
    load_after: float
    at: str
    seconds: float
    scale: float


def benchmark_names(only: Sequence[str] = ()) -> list[str]:
    """Names of the benchmarks, `histogram` for `bench_histogram.py`; ValueError for an unknown one."""
    known = sorted(path.stem.removeprefix(_PREFIX) for path in FOLDER.glob(f"{_PREFIX}*.py"))
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ValueError(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    return [name for name in known if not only or name in only]


def measure(names: Sequence[str], scale: float) -> Iterator[Row]:
    """Run the named benchmarks one after the other."""
    for name in names:
        module = importlib.import_module(f"benchmarks.{_PREFIX}{name}")
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.perf_counter()
        for row in module.rows(scale):
            print(f"  {row.what}: {figure(row.value)} {row.unit}", file=sys.stderr, flush=True)
            yield row
        print(f"{name}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)


def figure(value: float) -> str:
    """A number with four significant digits, thousands separated, no exponent where avoidable."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    if value and (abs(value) < 1e-4 or abs(value) >= 1e12):
        return f"{value:.2e}"
    whole_digits = len(str(int(abs(value))))
    decimals = max(0, _SIGNIFICANT - whole_digits) if value != int(value) else 0
    if abs(value) < 1:
        decimals = 5
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def table(found: Sequence[Row]) -> str:
    """The rows below each other, one line each; a group's name is printed once."""
    lines = [_HEADINGS]
    group = None
    for row in found:
        sign = {"lower": "≤ ", "higher": "≥ ", "info": ""}[row.better]
        target = "" if row.target is None else f"{sign}{figure(row.target)} {row.unit}".rstrip()
        outcome = {True: "ok", False: "MISSED", None: ""}[row.met]
        value = f"{figure(row.value)} {row.unit}".rstrip()
        lines.append(
            ("" if row.group == group else row.group, row.what, value, target, outcome, row.note)
        )
        group = row.group
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def describe(load_before: float, began_s: float, scale: float) -> Machine:
    """This machine at this moment."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        numpy=np.__version__,
        load_before=round(load_before, 2),
        load_after=round(os.getloadavg()[0], 2),
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=round(time.perf_counter() - began_s, 1),
        scale=scale,
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"


def _heading(machine: Machine) -> str:
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.system}; Python {machine.python}, "
        f"numpy {machine.numpy}; load {machine.load_before} before, {machine.load_after} after; "
        f"{machine.at}, {machine.seconds:g} s, scale {machine.scale:g}"
    )


def _write(path: Path, machine: Machine, found: Sequence[Row]) -> None:
    rows = [{**msgspec.structs.asdict(row), "met": row.met} for row in found]
    body = msgspec.json.encode({"machine": machine, "rows": rows})
    path.write_bytes(msgspec.json.format(body, indent=2) + b"\n")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description="Measure and compare.")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the runs, 1 is full")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="repeatable")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="where the figures go; benchmarks/results.json after a full run",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 when a target was missed, 2 for an unknown name."""
    arguments = _arguments(argv)
    try:
        names = benchmark_names(arguments.only)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    load_before, began_s = os.getloadavg()[0], time.perf_counter()
    found = list(measure(names, arguments.scale))
    machine = describe(load_before, began_s, arguments.scale)
    print(_heading(machine), table(found), sep="\n\n")
    is_full = arguments.scale == 1.0 and not arguments.only
    path = arguments.json or (RESULTS if is_full else None)
    if path is not None:
        _write(path, machine, found)
    missed = [row.what for row in found if row.met is False]
    if missed:
        print(f"\nmissed: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
