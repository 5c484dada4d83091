"""Every metric family of `/metrics`: name, type, labels, help. What is not here is not exposed.

Dashboards and rules rest on these names (contract §7). Labels are bounded: channels and sources by
200 each, everything else by the configuration. Ids of orders and people are never labels.
"""

from __future__ import annotations

import msgspec

WINDOWS_MS = {"5m": 300_000, "15m": 900_000, "1h": 3_600_000}
HEALTH_WINDOW = "15m"
QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
# Upper age of each class in ms; the last one is open.
AGES_MS = (("0-1m", 60_000), ("1m-3m", 180_000), ("3m-5m", 300_000), ("5m-30m", 1_800_000))
OLDEST = "30m+"
CHANNEL_STATES = ("closed", "open", "idle", "drained")


class Family(msgspec.Struct, frozen=True):
    """One metric family as declared; `kind` is counter, gauge, histogram or summary."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


CATALOGUE: tuple[Family, ...] = (
    Family(
        "delivery_events_total",
        "counter",
        "Events that came in; outcome is accepted, duplicate or, of type unknown, rejected.",
        ("source", "type", "outcome"),
    ),
    Family(
        "delivery_orders_total",
        "counter",
        "Orders by verdict when their wait ended, and as late_pending when their promise broke.",
        ("channel", "verdict"),
    ),
    Family(
        "delivery_delay_seconds",
        "histogram",
        "From payment to delivery, of delivered orders; stuck orders are not in it.",
        ("channel",),
    ),
    Family(
        "delivery_delay_window_seconds",
        "gauge",
        "Delay in the window with waiting orders counted; stat is p50, p90, p95, p99, mean or max. "
        "A percentile that is not reached yet is its lower bound; NaN without orders.",
        ("channel", "window", "stat"),
    ),
    Family(
        "delivery_late_ratio",
        "gauge",
        "Share of the orders judged in the window that broke their promise; NaN without orders.",
        ("channel", "window"),
    ),
    Family(
        "delivery_health_index",
        "gauge",
        "Delivery health of the last 15 min, 0 to 100; scope is * or a channel; NaN when idle.",
        ("scope",),
    ),
    Family(
        "delivery_open_orders",
        "gauge",
        "Paid orders whose buyer still waits, by age.",
        ("channel", "age"),
    ),
    Family(
        "delivery_oldest_open_order_age_seconds",
        "gauge",
        "Age of the order that waits longest; 0 when none waits.",
        ("channel",),
    ),
    Family(
        "delivery_at_risk_orders",
        "gauge",
        "Orders still in time that will more likely than not break their promise.",
        ("channel",),
    ),
    Family(
        "delivery_expected_total",
        "counter",
        "Deliveries that healthy channels would have made by now; channel * is all orders together "
        "and there when there are several.",
        ("channel",),
    ),
    Family(
        "delivery_observed_total",
        "counter",
        "Deliveries seen, against delivery_expected_total; channel * as there.",
        ("channel",),
    ),
    Family(
        "delivery_cusum",
        "gauge",
        "How far deliveries have fallen behind those expected (survival CUSUM); channel * as above.",
        ("channel",),
    ),
    Family(
        "delivery_cusum_limit",
        "gauge",
        "What delivery_cusum must exceed for a stall; learned, never below the one for the volume.",
        ("channel",),
    ),
    Family(
        "delivery_speed_ratio",
        "gauge",
        "Deliveries seen of those expected lately (half-life 3 min); NaN while too few are expected.",
        ("channel",),
    ),
    Family(
        "delivery_arrival_ratio",
        "gauge",
        "Orders seen of those expected in the most telling window; source * is the shop; NaN while "
        "that is learned.",
        ("source",),
    ),
    Family(
        "delivery_paid_ratio",
        "gauge",
        "Orders paid of those created, by payment provider; NaN without orders.",
        ("provider",),
    ),
    Family(
        "delivery_slo_burn_rate",
        "gauge",
        "How many times too fast the error budget is used up; NaN without judged orders.",
        ("slo", "window"),
    ),
    Family(
        "delivery_slo_budget_remaining_ratio",
        "gauge",
        "Share of the error budget that is left, negative when overspent; NaN without judged orders.",
        ("slo",),
    ),
    Family(
        "delivery_channel_state",
        "gauge",
        "1 for the state the channel is in: closed (healthy), open (slow), idle, drained.",
        ("channel", "state"),
    ),
    Family(
        "delivery_channel_weight_ratio",
        "gauge",
        "Share of new orders that the route gives the channel.",
        ("channel",),
    ),
    Family(
        "delivery_switch_epoch",
        "gauge",
        "Epoch of the routing decision in force; grows by one with every switch.",
        ("scope",),
    ),
    Family(
        "delivery_takeovers_total",
        "counter",
        "Takeover cases that reached a state, by the channel tried last.",
        ("channel", "outcome"),
    ),
    Family(
        "delivery_ambiguous_open",
        "gauge",
        "Unresolved takeovers with an attempt that may or may not have been carried out.",
    ),
    Family(
        "delivery_double_deliveries_total",
        "counter",
        "Orders delivered by the shop after our takeover had delivered them.",
    ),
    Family(
        "delivery_shop_faults_total",
        "counter",
        "What shops did wrong with orders of their own: keys sold twice, deliveries without keys.",
        ("fault",),
    ),
    Family(
        "delivery_monitor_invariant_violations",
        "gauge",
        "Rules of takeovers, goods and switches that the last self-audit found broken.",
    ),
    Family(
        "delivery_notifications_total",
        "counter",
        "Messages and webhooks that reached their receiver (ok) or were given up (failed).",
        ("receiver", "outcome"),
    ),
    Family(
        "delivery_alerts",
        "gauge",
        "Alerts of a rule that are pending or firing.",
        ("rule", "state"),
    ),
    Family(
        "delivery_monitor_outbox_rows",
        "gauge",
        "Effects that wait to be carried out.",
        ("sink",),
    ),
    Family(
        "delivery_monitor_commit_seconds",
        "summary",
        "Duration of durable writes, sync included; quantiles are of the last 1,024.",
    ),
    Family(
        "delivery_monitor_fsync_seconds",
        "summary",
        "How long the disk took to sync these writes; quantiles are of the last 1,024, NaN before one.",
    ),
    Family(
        "delivery_monitor_loop_lag_seconds",
        "gauge",
        "How late the service was at waking up: the worst of the last 15 s.",
    ),
    Family(
        "delivery_monitor_label_overflow_total",
        "counter",
        "Counts that went to label value other because there were too many values.",
        ("label",),
    ),
    Family(
        "delivery_monitor_ignored_fields_total",
        "counter",
        "Fields of events that were left out: unknown ones and those that look like card secrets.",
    ),
    Family(
        "delivery_monitor_egress_blocked_total",
        "counter",
        "Requests to the outside that were refused here, by the kind of address they led to.",
        ("reason",),
    ),
    Family(
        "delivery_monitor_shed_total",
        "counter",
        "What was given up or refused because it was too much: traces, signals (of streams), pages, "
        "events (without an outcome), unread (requests with events), quota, connections, "
        "messages (signed).",
        ("what",),
    ),
    Family(
        "delivery_monitor_build_info",
        "gauge",
        "1, with the version as a label.",
        ("version",),
    ),
)

FAMILIES = {family.name: family for family in CATALOGUE}
