"""The dashboard to look at first, "Delivery: now".

From top to bottom: is anything wrong, how late, which channel, how many wait, what was done. The
upper 24 rows of the grid are what a screen shows without scrolling.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard, statetimeline, table
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

from dashboards.panels import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SOURCE,
    YELLOW,
    Panel,
    annotation,
    at,
    bars,
    beside,
    graph,
    headline,
    latest,
    link,
    query,
    states,
    steps,
    words,
)

WATCHED = 'channel=~"$channel"'
IN_15M = 'window="15m"'


def wellbeing() -> list[Panel]:
    """The left half of the headline: is anything wrong right now?"""
    return [
        headline(
            "Delivery health",
            "100 minus the mean loss per order of the last 15 min. Orders that wait count, so it "
            "falls during an outage without any delivery being reported.",
            "none",
            0,
            (None, RED),
            (70, ORANGE),
            (85, GREEN),
        )
        .min(0)
        .max(100)
        .decimals(0)
        .with_target(query('delivery_health_index{scope="*"}', "health")),
        headline(
            "Late share, worst channel",
            "Share of the orders judged in the last 15 min that broke their promise, on the channel "
            "where it is highest. The rule DelayedOver2Percent fires above 2 % with evidence.",
            "percentunit",
            4,
            (None, GREEN),
            (0.02, RED),
        ).with_target(query(f'max(delivery_late_ratio{{window="15m",{WATCHED}}})', "late share")),
        headline(
            "Oldest open order",
            "How long the buyer who waits longest has been waiting.",
            "s",
            8,
            (None, GREEN),
            (180, ORANGE),
            (300, RED),
        ).with_target(query(f"max(delivery_oldest_open_order_age_seconds{{{WATCHED}}})", "oldest")),
    ]


def extent() -> list[Panel]:
    """The right half of the headline: how much of the shop is concerned?"""
    return [
        headline(
            "Open orders and at risk",
            "Paid orders that are not delivered yet, and how many of those still in time will more "
            "likely than not break their promise.",
            "short",
            12,
            (None, BLUE),
        )
        .with_target(query(f"sum(delivery_open_orders{{{WATCHED}}})", "open"))
        .with_target(query(f"sum(delivery_at_risk_orders{{{WATCHED}}})", "at risk", "B")),
        headline(
            "Paid orders per minute",
            "Payments reported by all shops. Nothing here while buyers buy means that events are "
            "missing: see the source alerts.",
            "cpm",
            16,
            (None, BLUE),
        )
        .decimals(1)
        .with_target(
            query(
                "60 * sum(rate(delivery_events_total"
                '{type="order.paid",outcome="accepted"}[$__rate_interval]))',
                "paid",
            )
        ),
        headline(
            "Channels not healthy",
            "Channels whose breaker is open (four slow orders in a row) or that a person drained.",
            "short",
            20,
            (None, GREEN),
            (1, RED),
        ).with_target(
            query(f'sum(delivery_channel_state{{state=~"open|drained",{WATCHED}}})', "not healthy")
        ),
    ]


def lateness() -> list[Panel]:
    """How late, and on which channel?"""
    return [
        graph(
            "Delays",
            "Percentiles of the last 15 min on the slowest channel, with waiting orders counted: "
            "during an outage they climb with the clock. The line is the default promise of 3 min.",
            "s",
            at(0, 4, 12, 8),
        )
        .thresholds(steps((None, "transparent"), (180, RED)))
        .thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        )
        .with_target(
            query(
                "max by (stat) (delivery_delay_window_seconds"
                f'{{window="15m",stat=~"p50|p95|p99",{WATCHED}}})',
                "{{stat}}",
            )
        ),
        graph(
            "Late share by channel",
            "Share of the orders judged in the last 15 min that broke their promise. "
            "The line is the limit of 2 %.",
            "percentunit",
            at(12, 4, 12, 8),
        )
        .thresholds(steps((None, "transparent"), (0.02, RED)))
        .thresholds_style(
            common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        )
        .with_target(query(f'delivery_late_ratio{{window="15m",{WATCHED}}}', "{{channel}}")),
    ]


def channel_states() -> statetimeline.Panel:
    """One row per channel: which state, since when."""
    codes = (("closed", 1), ("idle", 2), ("drained", 3), ("open", 4))
    coded = " or ".join(
        f'delivery_channel_state{{state="{state}",{WATCHED}}} * {code}' for state, code in codes
    )
    return (
        states(
            "Channel states",
            "Closed is healthy; open means four slow orders in a row, so no new orders should go "
            "there; drained by a person; idle without recent orders.",
            at(0, 12, 12, 7),
        )
        .mappings(
            words(
                {
                    "1": ("closed", GREEN),
                    "2": ("idle", GREY),
                    "3": ("drained", ORANGE),
                    "4": ("open", RED),
                }
            )
        )
        .with_target(query(f"sum by (channel) ({coded})", "{{channel}}"))
    )


def channel_table() -> table.Panel:
    """One row per channel: its numbers of the last 15 min and its share of the route."""
    columns = (
        ("Weight", "percentunit", f"sum by (channel) (delivery_channel_weight_ratio{{{WATCHED}}})"),
        (
            "Late",
            "percentunit",
            f'sum by (channel) (delivery_late_ratio{{window="15m",{WATCHED}}})',
        ),
        (
            "p95",
            "s",
            f'sum by (channel) (delivery_delay_window_seconds{{{IN_15M},stat="p95",{WATCHED}}})',
        ),
        ("Open", "short", f"sum by (channel) (delivery_open_orders{{{WATCHED}}})"),
        (
            "Oldest",
            "s",
            f"max by (channel) (delivery_oldest_open_order_age_seconds{{{WATCHED}}})",
        ),
    )
    panel = (
        table.Panel()
        .title("Channels")
        .description(
            "Share of new orders, late share and p95 of the last 15 min, and what waits now."
        )
        .unit("short")
        .datasource(SOURCE)
        .grid_pos(at(12, 12, 12, 7))
    )
    renamed = {"channel": "Channel"}
    for ref, (name, unit, expr) in zip("ABCDE", columns, strict=True):
        panel = panel.with_target(latest(expr, ref))
        panel = panel.override_by_name(name, [models.DynamicConfigValue("unit", unit)])
        renamed[f"Value #{ref}"] = name
    merge = models.DataTransformerConfig("merge", options={})
    organize = models.DataTransformerConfig(
        "organize", options={"excludeByName": {"Time": True}, "renameByName": renamed}
    )
    return panel.with_transformation(merge).with_transformation(organize)


def waiting_and_alerts() -> list[Panel]:
    """How many wait, and what the rules say."""
    open_by_age = (
        graph(
            "Open orders by age",
            "Paid orders that are not delivered yet. What is older than the promise is late and "
            "does not appear in any delay histogram until it is delivered.",
            "short",
            at(0, 19, 12, 8),
        )
        .fill_opacity(60)
        .stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
        .with_target(query(f"sum by (age) (delivery_open_orders{{{WATCHED}}})", "{{age}}"))
    )
    colours = {"0-1m": GREEN, "1m-3m": BLUE, "3m-5m": YELLOW, "5m-30m": ORANGE, "30m+": RED}
    for age, colour in colours.items():
        fixed = models.FieldColor(mode=models.FieldColorModeId.FIXED, fixed_color=colour)
        open_by_age = open_by_age.override_by_name(age, [models.DynamicConfigValue("color", fixed)])
    alerts = (
        states(
            "Alerts",
            "What each rule says: quiet, pending (true, but not for long enough) or firing.",
            at(12, 19, 12, 8),
        )
        .mappings(words({"0": ("quiet", GREEN), "1": ("pending", YELLOW), "2": ("firing", RED)}))
        .with_target(
            query(
                'max by (rule) (clamp_max(delivery_alerts{state="pending"}, 1)'
                ' or clamp_max(delivery_alerts{state="firing"}, 1) * 2)',
                "{{rule}}",
            )
        )
    )
    return [open_by_age, alerts]


def owed() -> Panel:
    """Do deliveries keep up with what is expected of the orders that wait?"""
    single = 'channel!="*",' + WATCHED
    panel = (
        graph(
            "Deliveries expected and seen",
            "Deliveries per minute that healthy channels would have made of the orders that wait, "
            "and those that were seen. Where they part, the dashed CUSUM climbs (right axis); "
            "DeliveryStalled pages when it passes its limit.",
            "cpm",
            at(0, 27, 24, 8),
        )
        .with_target(
            query(
                f"60 * sum by (channel) (rate(delivery_expected_total{{{single}}}"
                "[$__rate_interval]))",
                "{{channel}} expected",
            )
        )
        .with_target(
            query(
                f"60 * sum by (channel) (rate(delivery_observed_total{{{single}}}"
                "[$__rate_interval]))",
                "{{channel}} seen",
                "B",
            )
        )
        .with_target(
            query(f"max by (channel) (delivery_cusum{{{single}}})", "{{channel}} CUSUM", "C")
        )
        .with_target(
            query(f"max by (channel) (delivery_cusum_limit{{{single}}})", "{{channel}} limit", "D")
        )
    )
    return beside(panel, "/ (CUSUM|limit)$/")


def actions() -> list[Panel]:
    """What was done about it, and does the monitor itself keep up?"""
    return [
        bars(
            "Takeovers",
            "Orders that the fallback took over, by the state they reached.",
            "short",
            at(0, 35, 8, 7),
        ).with_target(
            query(
                "sum by (outcome) (increase(delivery_takeovers_total[$__rate_interval]))",
                "{{outcome}}",
            )
        ),
        bars(
            "Messages",
            "Chat messages and webhooks, by receiver; failed ones were given up.",
            "short",
            at(8, 35, 8, 7),
        ).with_target(
            query(
                "sum by (receiver, outcome)"
                " (increase(delivery_notifications_total[$__rate_interval]))",
                "{{receiver}} {{outcome}}",
            )
        ),
        graph(
            "Waiting effects",
            "Messages, switches and takeovers in the outbox. A line that does not come back to 0 "
            "is a receiver that does not answer.",
            "short",
            at(16, 35, 8, 7),
        ).with_target(query("sum by (sink) (delivery_monitor_outbox_rows)", "{{sink}}")),
    ]


def variables() -> list[
    dashboard.DatasourceVariable | dashboard.QueryVariable | dashboard.TextBoxVariable
]:
    """The data source, the channels looked at, and where the monitor's own page is."""
    every = models.VariableOption(selected=True, text="All", value="$__all")
    here = models.VariableOption(selected=True, text="Prometheus", value="prometheus")
    return [
        dashboard.DatasourceVariable("datasource")
        .label("Data source")
        .type("prometheus")
        .current(here),
        dashboard.QueryVariable("channel")
        .label("Channel")
        .datasource(SOURCE)
        .query("label_values(delivery_open_orders, channel)")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".*")
        .current(every),
        dashboard.TextBoxVariable("monitor")
        .label("Monitor")
        .description("Address of the monitor, for links")
        .default_value("http://127.0.0.1:8080"),
    ]


def now() -> models.Dashboard:
    """The dashboard to look at first."""
    board = (
        dashboard.Dashboard("Delivery: now")
        .uid("delivery-now")
        .description("Are paid orders being delivered right now, and if not: where and since when?")
        .tags(["delivery-monitor"])
        .time("now-1h", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .annotation(annotation("Firing alerts", 'delivery_alerts{state="firing"} > 0', RED))
        .annotation(annotation("Channel switches", "changes(delivery_switch_epoch[1m]) > 0", BLUE))
    )
    for one in (
        link("Console", "/"),
        link("Late orders", "/v1/orders?state=late"),
        link("Alerts with evidence", "/v1/alerts"),
        link("Route", "/v1/route"),
    ):
        board = board.link(one)
    for variable in variables():
        board = board.with_variable(variable)
    panels: list[Panel] = [
        *wellbeing(),
        *extent(),
        *lateness(),
        channel_states(),
        channel_table(),
        *waiting_and_alerts(),
        owed(),
        *actions(),
    ]
    for number, panel in enumerate(panels, start=1):
        board = board.with_panel(panel.id(number))
    return board.build()
