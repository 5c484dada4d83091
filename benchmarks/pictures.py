"""Draws docs/pictures: one picture per family of signals, from the product's own functions.

    python -m benchmarks.pictures            writes docs/pictures/*.svg
    python -m benchmarks.pictures waiting    only one of them

The same code and libraries give the same bytes: nothing in a picture depends on the day it was made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import picture_orders, picture_sides

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "delivery-monitor", "font.family": "DejaVu Sans",
    "font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#e6e8eb", "legend.frameon": False, "legend.fontsize": 8,
    "lines.linewidth": 1.4, "path.simplify": True, "path.simplify_threshold": 0.5,
}  # fmt: skip
WIDE = (7.6, 3.0)


PICTURES: dict[str, tuple[Callable[[Figure], None], tuple[float, float]]] = {
    "histogram": (picture_orders.histogram, WIDE),
    "waiting": (picture_orders.waiting, WIDE),
    "evidence": (picture_orders.evidence, WIDE),
    "ratios": (picture_orders.ratios, WIDE),
    "mean": (picture_orders.mean, WIDE),
    "window": (picture_orders.window, WIDE),
    "queue": (picture_orders.queue, (7.6, 3.8)),
    "health": (picture_orders.health, WIDE),
    "cusum": (picture_sides.cusum, WIDE),
    "season": (picture_sides.season, WIDE),
    "arrivals": (picture_sides.arrivals, WIDE),
    "callbacks": (picture_sides.callbacks, WIDE),
    "silence": (picture_sides.silence, WIDE),
    "burn": (picture_sides.burn, WIDE),
}


def draw(name: str, path: Path) -> None:
    """Write one picture as SVG. Raises: KeyError for a name that is not in `PICTURES`."""
    paint, size = PICTURES[name]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Draw the pictures named, or all."""
    parser = argparse.ArgumentParser(description="Draw docs/pictures.")
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], metavar="NAME")
    parser.add_argument("--to", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    options.to.mkdir(parents=True, exist_ok=True)
    for name in options.names or PICTURES:
        draw(name, options.to / f"{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
