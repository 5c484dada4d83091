"""What must hold between the keys of `monitor.yaml`, beyond the shape of each (contract §5)."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from fnmatch import fnmatchcase

import msgspec

from monitor.config.check_channels import check_channel, is_cost_guarded
from monitor.config.report import Report
from monitor.config.schema import Document, Fallback
from monitor.config.schema_channels import Channel
from monitor.config.schema_outlets import DingTalk, PlainWebhook, Webhook
from monitor.config.values import split_listen
from monitor.config.yaml_lines import YamlPath
from monitor.model.spelling import did_you_mean
from monitor.model.times import format_duration

EVENT_TYPES = (
    "alert.firing",
    "alert.resolved",
    "channel.switch",
    "order.tier_changed",
    "order.eta_changed",
    "takeover.started",
    "takeover.delivered",
    "takeover.escalated",
    "compensation.offered",
    "incident.opened",
    "shop.fault",
    "incident.closed",
)


_SOURCE_KEYS = ("api_key", "api_key_file", "secret", "secret_file")


class Mentioned(msgspec.Struct, frozen=True):
    """Names the file mentions, read before broken parts were left out of it.

    A channel with one wrong key still exists; naming it in `fallback.order` is no second mistake.
    """

    channels: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # top-level keys
    has_api_key: bool = False
    has_failover_webhook: bool = False
    has_fallback_order: bool = False


def mentioned(document: object) -> Mentioned:
    """Collect the names in a document of any shape."""
    root = document if isinstance(document, dict) else {}
    failover, fallback, notify = (
        part if isinstance(part := root.get(key), dict) else {}
        for key in ("failover", "fallback", "notify")
    )
    return Mentioned(
        channels=tuple(_names(root.get("channels"))),
        receivers=tuple(_names(notify.get("receivers"))),
        keys=tuple(key for key, value in root.items() if value is not None),
        has_api_key=any(
            isinstance(source, dict) and any(source.get(key) for key in _SOURCE_KEYS)
            for source in _items(root.get("sources"))
        ),
        has_failover_webhook=failover.get("webhook") is not None,
        has_fallback_order=bool(fallback.get("order")),
    )


def check_document(document: Document, names: Mentioned, report: Report) -> None:
    """Report everything that does not fit together."""
    _check_unique(document, report)
    _check_addresses(document, report)
    _check_zones(document, report)
    _check_times(document, report)
    for index, channel in enumerate(document.channels):
        check_channel(channel, ("channels", index), report)
    _check_failover(document, names, report)
    _check_fallback(document, names, report)
    _check_webhooks(document, report)
    _check_notify(document, names, report)


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _names(items: object) -> Iterator[str]:
    for item in _items(items):
        if isinstance(item, dict) and isinstance(item.get("name"), str | int):
            yield str(item["name"])


def _check_unique(document: Document, report: Report) -> None:
    lists: tuple[tuple[YamlPath, list[str]], ...] = (
        (("sources",), [source.name for source in document.sources]),
        (("channels",), [channel.name for channel in document.channels]),
        (("notify", "receivers"), [receiver.name for receiver in document.notify.receivers]),
    )
    for at, names in lists:
        for index, name in enumerate(names):
            if name in names[:index]:
                where = (*at, index, "name")
                report.error(where, f"{report.name(where)}: '{name}' is taken by an earlier entry")


def _check_addresses(document: Document, report: Report) -> None:
    taken: dict[tuple[str, int], str] = {}
    for key in ("listen", "listen_fast", "listen_ingest", "listen_metrics"):
        written = getattr(document, key)
        address = split_listen(written) if written else ("", 0)
        if address[1] and address in taken:
            report.error((key,), f"{key} is the same address as {taken[address]}")
        taken[address] = key


def _check_zones(document: Document, report: Report) -> None:
    zones: list[tuple[YamlPath, str | None]] = [(("timezone",), document.timezone)]
    zones += [
        (("sources", index, "timezone"), source.timezone)
        for index, source in enumerate(document.sources)
    ]
    for at, zone in zones:
        if zone is not None and not _is_zone(zone):
            report.error(at, f"{report.name(at)} names no known time zone", _zone_hint(zone))


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: a folder of the database such as `America`.
        return False
    return True


def _zone_hint(zone: str) -> str:
    known = sorted(zoneinfo.available_timezones())
    if not known:
        return "this system has no time zone data; install its tzdata package"
    cities = [name for name in known if name.rpartition("/")[2].lower() == zone.lower()]
    if cities:
        return f"did you mean '{cities[0]}'?"
    # Of a continent alone any city would be as good a guess.
    close = did_you_mean(zone, known) if "/" in zone else ""
    return close or "write for example Asia/Shanghai or UTC"


def _check_times(document: Document, report: Report) -> None:
    tiers = document.tiers
    if tiers.l2_after >= tiers.l3_after:
        message = f"tiers.l2_after {format_duration(tiers.l2_after)} must be shorter than l3_after"
        report.error(("tiers", "l3_after"), f"{message} {format_duration(tiers.l3_after)}")
    if tiers.l1_after is not None and tiers.l1_after > tiers.l2_after:
        message = f"tiers.l1_after {format_duration(tiers.l1_after)} must not be longer than"
        at = ("tiers", "l1_after")
        report.error(at, f"{message} l2_after {format_duration(tiers.l2_after)}")
    if tiers.l1_after is None and document.promise.default > tiers.l2_after:
        report.warn(
            ("promise", "default"),
            f"promise.default {format_duration(document.promise.default)} is longer than "
            f"tiers.l2_after {format_duration(tiers.l2_after)}: orders reach L2 before they are late",
            "set tiers.l2_after and tiers.l3_after",
        )


def _check_failover(document: Document, names: Mentioned, report: Report) -> None:
    if document.failover.mode == "enforce" and not names.has_failover_webhook:
        report.error(
            ("failover", "mode"),
            "failover.mode enforce needs failover.webhook",
            "name the URL that switches channels, or write mode: advise",
        )


def _check_fallback(document: Document, names: Mentioned, report: Report) -> None:
    fallback = document.fallback
    if fallback.mode == "enforce":
        for key, is_there, hint in (
            ("shop", "shop" in names.keys, "name its claim_url and deliver_url"),
            ("fallback.order", names.has_fallback_order, "list the channels to try"),
        ):
            if not is_there:
                report.error(
                    ("fallback", "mode"),
                    f"fallback.mode enforce needs {key}",
                    f"{hint}, or write mode: advise",
                )
    _check_order(document, fallback, names, report)


def _check_order(document: Document, fallback: Fallback, names: Mentioned, report: Report) -> None:
    channels = {channel.name: channel for channel in document.channels}
    places: dict[str, YamlPath] = {
        channel.name: ("channels", index) for index, channel in enumerate(document.channels)
    }
    for index, name in enumerate(fallback.order):
        at = ("fallback", "order", index)
        channel = channels.get(name)
        if name in fallback.order[:index]:
            report.error(at, f"{report.name(at)}: '{name}' is listed twice")
        elif channel is None:
            if name not in names.channels:
                hint = did_you_mean(name, names.channels) or "add it to channels"
                report.error(at, f"{report.name(at)}: there is no channel '{name}'", hint)
        elif report.lacks(places[name], "kind") or report.lacks(places[name], "capability"):
            continue
        elif channel.kind == "external":
            message = f"{report.name(at)}: '{name}' is external: the shop delivers there, we cannot"
            report.error(at, message, "list channels of kind http, stock or manual")
        elif index == 0 and channel.kind == "http" and channel.capability in (None, "opaque"):
            message = f"{report.name(at)}: '{name}' is opaque and must not stand first"
            hint = "an attempt without an answer can never be cleared up; put it later"
            report.error(at, message, hint)
        elif _is_cost_unbounded(channel) and not report.lacks(places[name], "max_cost_minor"):
            report.warn(
                at,
                f"{report.name(at)}: '{name}': without max_cost_minor the loss limit cannot be "
                "kept before buying",
                "set max_cost_minor, or hand {{ max_cost_minor }} to the supplier in submit",
            )


def _is_cost_unbounded(channel: Channel) -> bool:
    is_known = channel.max_cost_minor is not None or is_cost_guarded(channel)
    return channel.kind == "http" and channel.submit is not None and not is_known


def _check_webhooks(document: Document, report: Report) -> None:
    for index, webhook in enumerate(document.webhooks):
        _check_url(webhook, ("webhooks", index), report)
        for position, pattern in enumerate(webhook.types):
            if not any(fnmatchcase(known, pattern) for known in EVENT_TYPES):
                at = ("webhooks", index, "types", position)
                hint = did_you_mean(pattern, EVENT_TYPES) or f"known are {', '.join(EVENT_TYPES)}"
                report.error(at, f"{report.name(at)} fits no type of event", hint)
    if document.failover.webhook is not None:
        _check_url(document.failover.webhook, ("failover", "webhook"), report)


def _check_url(webhook: Webhook | PlainWebhook | DingTalk, at: YamlPath, report: Report) -> None:
    if webhook.url is None and webhook.url_file is None and not report.lacks(at, "url_file"):
        report.error_missing(at, "url", f"{report.name(at)} needs url")


def _check_notify(document: Document, names: Mentioned, report: Report) -> None:
    notify = document.notify
    for index, receiver in enumerate(notify.receivers):
        at = ("notify", "receivers", index)
        for position, robot in enumerate(receiver.dingtalk):
            _check_url(robot, (*at, "dingtalk", position), report)
        for position, webhook in enumerate(receiver.webhook):
            _check_url(webhook, (*at, "webhook", position), report)
        if not receiver.dingtalk and not receiver.webhook:
            message = f"{report.name(at)}: '{receiver.name}' has no integration and tells nobody"
            report.warn(at, message, "add dingtalk or webhook")
    named = [receiver.name for receiver in notify.receivers]
    if notify.route is not None and notify.route.receiver not in {*names.receivers, *named}:
        route: YamlPath = ("notify", "route", "receiver")
        name = notify.route.receiver
        hint = did_you_mean(name, names.receivers) or "add it to notify.receivers"
        report.error(route, f"{report.name(route)}: there is no receiver '{name}'", hint)
    elif notify.route is None and notify.receivers:
        message = "notify.receivers are listed but no route leads to one"
        report.warn(("notify",), message, "write route: {receiver: <name>}")
