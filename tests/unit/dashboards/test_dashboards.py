"""The dashboards: generated, complete, and made of metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dashboards.build import rendered
from monitor.adapters.telemetry.catalogue import FAMILIES
from tests.dashboards import FILES, Panel, board, metrics_of, panels, queries

ROWS_ABOVE_THE_FOLD = 24  # of 38 pixels: what a screen of 1080 lines shows
PANELS_ABOVE_THE_FOLD_MAX = 12
UNITS = {"none", "short", "s", "percentunit", "cpm"}  # ids that Grafana 11.6 knows
SUFFIXES = ("_bucket", "_count", "_sum")

each_board = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def family_of(metric: str) -> str:
    for suffix in SUFFIXES:
        if metric.removesuffix(suffix) in FAMILIES:
            return metric.removesuffix(suffix)
    return metric


def cells(panel: Panel) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    return {
        (x, y)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    }


def test_files_are_what_the_script_makes() -> None:
    """Nobody edits the JSON by hand: `python -m dashboards.build` writes exactly these files."""
    assert {path.name: path.read_text(encoding="utf-8") for path in FILES} == rendered()


@each_board
def test_dashboard_can_be_provisioned(path: Path) -> None:
    """Stable uid, read-only, made for Grafana 11, refreshed, linked to the monitor."""
    found = board(path)
    assert found["uid"] == f"delivery-{path.stem}"
    assert found["editable"] is False
    assert found["schemaVersion"] == 41
    assert found["refresh"]
    assert found["links"]
    assert all(link["url"].startswith("${monitor}/") for link in found["links"])


@each_board
def test_data_source_is_a_variable(path: Path) -> None:
    """Every panel, target, variable and annotation follows the data source chosen above."""
    found = board(path)
    (chosen,) = [one for one in found["templating"]["list"] if one["type"] == "datasource"]
    assert chosen["current"]["value"] == "prometheus"  # the uid that docker/grafana provisions
    text = json.dumps(found)
    used = set(re.findall(r'"uid": "([^"]*)"', text)) - {found["uid"]}
    assert used == {"${" + chosen["name"] + "}"}
    assert all(
        target["datasource"]["uid"] == "${datasource}"
        for panel in panels(path)
        for target in panel["targets"]
    )


@each_board
def test_query_variables_follow_the_time_range(path: Path) -> None:
    """A channel that appears later can be chosen without reloading the page."""
    variables = [one for one in board(path)["templating"]["list"] if one["type"] == "query"]
    assert variables
    assert all(one["refresh"] == 2 for one in variables)


@each_board
def test_every_panel_explains_itself(path: Path) -> None:
    """Title, description, a unit Grafana knows, and at least one query; ids and titles are unique."""
    found = panels(path)
    for panel in found:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]
    assert len({panel["id"] for panel in found}) == len(found)
    assert len({panel["title"] for panel in found}) == len(found)


@each_board
def test_panels_fill_the_grid_without_overlap(path: Path) -> None:
    """No two panels share a cell, none leaves the 24 columns, and no row has a hole."""
    found = [cells(panel) for panel in panels(path)]
    everything = set().union(*found)
    assert sum(map(len, found)) == len(everything)
    height = 1 + max(y for _, y in everything)
    assert everything == {(x, y) for x in range(24) for y in range(height)}


@each_board
def test_first_screen_is_not_crowded(path: Path) -> None:
    """At most twelve panels begin above the fold."""
    first = [panel for panel in panels(path) if panel["gridPos"]["y"] < ROWS_ABOVE_THE_FOLD]
    assert len(first) <= PANELS_ABOVE_THE_FOLD_MAX


@each_board
def test_every_metric_is_in_the_catalogue(path: Path) -> None:
    """A panel cannot ask for a metric, or a label of it, that the monitor does not have."""
    exprs = [expr for _, expr in queries(path)]
    exprs += [one["expr"] for one in board(path)["annotations"]["list"]]
    for expr in exprs:
        assert metrics_of(expr)
        for metric in metrics_of(expr):
            assert family_of(metric) in FAMILIES, expr
        for metric, matchers in re.findall(r"\b(delivery_[a-z_]+)\{([^}]*)\}", expr):
            used = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers))
            assert used <= {*FAMILIES[family_of(metric)].labels, "le"}, expr


@each_board
def test_counters_are_read_as_rates(path: Path) -> None:
    """A counter stands only inside rate or increase, over the interval that Grafana chooses."""
    for _, expr in queries(path):
        for metric in metrics_of(expr):
            family = FAMILIES[family_of(metric)]
            if family.kind == "counter":
                pattern = rf"(rate|increase)\({metric}(\{{[^}}]*\}})?\[\$__rate_interval\]\)"
                assert re.search(pattern, expr), expr
