"""What the dashboards are made of: queries, colours, and the few kinds of panel, set up once."""

from __future__ import annotations

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, ORANGE, RED, GREY, BLUE = "green", "yellow", "orange", "red", "#8e8e8e", "blue"

# NaN is how the monitor says that nothing is known, which is not the same as 0.
UNKNOWN = models.SpecialValueMap(
    models.DashboardSpecialValueMapOptions(
        match=models.SpecialValueMatch.NULL_AND_NAN,
        result=models.ValueMappingResult(text="no orders", color=GREY, index=0),
    )
)

Panel = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel
Mapping = models.ValueMap | models.RangeMap | models.RegexMap | models.SpecialValueMap
Step = tuple[float | None, str]


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """One PromQL query over time."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).datasource(SOURCE)


def latest(expr: str, ref: str) -> prometheus.Dataquery:
    """One PromQL query for the end of the time range, as a table."""
    return query(expr, ref=ref).instant().format(PromQueryFormat.TABLE)


def steps(*given: Step) -> dashboard.ThresholdsConfig:
    """Colours from a value on; None is the base."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value, colour) for value, colour in given])
    )


def words(given: dict[str, tuple[str, str]]) -> list[Mapping]:
    """Words and colours for codes."""
    results = {
        code: models.ValueMappingResult(text=text, color=colour, index=index)
        for index, (code, (text, colour)) in enumerate(given.items())
    }
    return [models.ValueMap(results)]


def at(x: int, y: int, w: int, h: int) -> models.GridPos:
    """Where a panel lies on the grid of 24 columns."""
    return models.GridPos(h=h, w=w, x=x, y=y)


def headline(title: str, description: str, unit: str, x: int, *given: Step) -> stat.Panel:
    """One of the six numbers at the top."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .thresholds(steps(*given))
        .color_mode(shapes.BigValueColorMode.BACKGROUND)
        .graph_mode(shapes.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
        .mappings([UNKNOWN])
        .no_value("no orders")
        .grid_pos(at(x, 0, 4, 4))
    )


def graph(title: str, description: str, unit: str, where: models.GridPos) -> timeseries.Panel:
    """Lines over time with a legend that names the latest value."""
    legend = (
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
        .calcs(["lastNotNull"])
    )
    tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI)
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .datasource(SOURCE)
        .min(0)
        .line_width(2)
        .legend(legend)
        .tooltip(tooltip)
        .grid_pos(where)
    )


def beside(panel: timeseries.Panel, names: str) -> timeseries.Panel:
    """Draw the series whose names match on an axis of their own at the right, dashed."""
    style = models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})
    place = models.DynamicConfigValue("custom.axisPlacement", "right")
    return panel.override_by_regexp(
        names, [place, style, models.DynamicConfigValue("unit", "none")]
    )


def bars(title: str, description: str, unit: str, where: models.GridPos) -> timeseries.Panel:
    """Counts per interval, stacked."""
    return (
        graph(title, description, unit, where)
        .draw_style(shapes.GraphDrawStyle.BARS)
        .fill_opacity(80)
        .line_width(0)
        .stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    )


def states(title: str, description: str, where: models.GridPos) -> statetimeline.Panel:
    """States over time, equal neighbours merged."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .unit("none")
        .datasource(SOURCE)
        .merge_values(merge_values=True)
        .show_value(shapes.VisibilityMode.AUTO)
        .row_height(0.8)
        .grid_pos(where)
    )


def annotation(name: str, expr: str, colour: str) -> dashboard.AnnotationQuery:
    """Marks on every graph while an expression holds."""
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(enable=True)
        .icon_color(colour)
        .expr(expr)
    )


def link(title: str, path: str) -> dashboard.DashboardLink:
    """A link to the monitor itself."""
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.LINK)
        .icon("external link")
        .url("${monitor}" + path)
        .target_blank(target_blank=True)
    )
