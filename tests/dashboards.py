"""Reading the checked-in dashboards: panels, queries, and what a query is made of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))

Board = dict[str, Any]
Panel = dict[str, Any]


def board(path: Path) -> Board:
    loaded: Board = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def panels(path: Path) -> list[Panel]:
    """All panels, those inside rows too."""
    found: list[Panel] = []
    for panel in board(path)["panels"]:
        found += panel.get("panels", []) if panel["type"] == "row" else [panel]
    return found


def queries(path: Path) -> list[tuple[str, str]]:
    """(panel title, PromQL) of every target."""
    return [
        (panel["title"], target["expr"]) for panel in panels(path) for target in panel["targets"]
    ]


def substituted(expr: str) -> str:
    """The query as Grafana sends it with everything selected."""
    return (
        expr.replace("$channel", ".*")
        .replace("$__rate_interval", "1m")
        .replace("$__interval", "15s")
    )


def metrics_of(expr: str) -> set[str]:
    """Names of our metrics in a query."""
    return set(re.findall(r"\bdelivery_[a-z_]+", expr))
