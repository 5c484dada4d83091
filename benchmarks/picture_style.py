"""How the pictures of docs/signals.md look: colours, and marks that several of them share."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import picture_data as data

BLUE, RED, GREEN, GREY, ORANGE = "#1f5fa8", "#c0392b", "#2e8b57", "#8a8f98", "#d98200"
SHADE = "#f6d9d5"


def shaded(axes: Axes, start: float, end: float, name: str) -> None:
    """Mark the time in which something is broken."""
    axes.axvspan(start, end, color=SHADE, lw=0, label=name)


def outage_shaded(axes: Axes) -> None:
    """Mark the ten minutes of the story."""
    shaded(axes, data.FAULT_MIN, data.REPAIR_MIN, "outage")


def pair(figure: Figure) -> tuple[Axes, Axes]:
    """Two panels beside each other."""
    left, right = figure.subplots(1, 2)
    return left, right
