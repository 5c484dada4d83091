"""Turns the checked document into `Settings`, everything the core may know."""

from __future__ import annotations

import ipaddress
from zoneinfo import ZoneInfoNotFoundError

from monitor.config.check_channels import is_cost_guarded, is_followed
from monitor.config.schema import Document, Source
from monitor.config.schema_channels import Channel
from monitor.config.zones import utc_offsets
from monitor.model.endpoints import Endpoints, Listen
from monitor.model.gateways import LISTENER_HEARTBEAT_MS, LISTENER_PREFIX
from monitor.model.settings import (
    ChannelSettings,
    FailoverSettings,
    FallbackSettings,
    PromiseTable,
    ReceiverSettings,
    Settings,
    SourceSettings,
    Tiers,
    WebhookSettings,
)
from monitor.model.times import MINUTE_MS

READ_SILENCE_MS = 5 * MINUTE_MS  # a shop that could not be read for so long is silent
READ_LOOKS = 4  # … or for so many looks


def build_settings(document: Document, endpoints: Endpoints) -> Settings:
    """Everything the core may know; `endpoints` of the same document have the names."""
    return Settings(
        language=document.language,
        timezone=document.timezone,
        utc_offsets=_offsets(document.timezone),
        currency=document.currency,
        promise=PromiseTable(
            default_ms=document.promise.default,
            by_speed=document.promise.by_speed,
            by_sku=document.promise.by_sku,
            by_fulfilment=document.promise.by_fulfilment,
        ),
        tiers=Tiers(
            l1_after_ms=document.tiers.l1_after,
            l2_after_ms=document.tiers.l2_after,
            l3_after_ms=document.tiers.l3_after,
        ),
        sources=tuple(
            SourceSettings(
                name=source.name,
                heartbeat_ms=source.heartbeat or _own_heartbeat_ms(source),
                timezone=source.timezone,
                created_means_paid=source.created_means_paid,
            )
            for source in document.sources
        ),
        listeners=tuple(
            SourceSettings(LISTENER_PREFIX + gateway.name, LISTENER_HEARTBEAT_MS)
            for gateway in endpoints.gateways
            if gateway.is_watched
        ),
        channels=tuple(_channel_settings(channel) for channel in document.channels),
        failover=_failover_settings(document),
        shop_takes=_shop_takes(document),
        fallback=_fallback_settings(document),
        webhooks=tuple(
            WebhookSettings(name=endpoint.name, types=tuple(webhook.types))
            for endpoint, webhook in zip(endpoints.webhooks, document.webhooks, strict=True)
        ),
        receivers=_receivers(document, endpoints),
        default_receiver=document.notify.route.receiver if document.notify.route else None,
        event_retention_ms=document.retention.events,
        order_retention_ms=document.retention.orders,
        public_url=document.public_url or _public_url(endpoints.listen),
    )


def _own_heartbeat_ms(source: Source) -> int | None:
    """A shop that we read is heard with every look at it, whether or not it sells anything."""
    return None if source.database is None else max(READ_SILENCE_MS, READ_LOOKS * source.poll)


def _offsets(zone: str) -> tuple[tuple[int, int], ...]:
    try:
        return utc_offsets(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ()  # `check` names the unknown zone with its place; these settings are never used


def _channel_settings(channel: Channel) -> ChannelSettings:
    return ChannelSettings(
        name=channel.name,
        kind=channel.kind,
        capability=channel.capability or "opaque",
        settle_ms=channel.settle,
        max_cost_minor=channel.max_cost_minor,
        is_cost_guarded=is_cost_guarded(channel),
        is_followed=is_followed(channel),
        shared_skus=tuple(sku for sku, policy in channel.key_policy.items() if policy == "shared"),
    )


def _failover_settings(document: Document) -> FailoverSettings:
    failover = document.failover
    return FailoverSettings(
        mode=failover.mode,
        min_dwell_ms=failover.min_dwell,
        max_per_hour=failover.max_per_hour,
        valid_for_ms=failover.valid_for,
        has_webhook=failover.webhook is not None,
    )


def _fallback_settings(document: Document) -> FallbackSettings:
    fallback = document.fallback
    return FallbackSettings(
        mode=fallback.mode,
        after_ms=fallback.after,
        order=tuple(fallback.order),
        max_per_hour=fallback.max_per_hour,
        max_value_per_day_minor=fallback.max_value_per_day_minor,
        max_loss_minor=fallback.max_loss_minor,
        has_shop=document.shop is not None,
        claim_ttl_ms=fallback.claim_ttl,
        max_ambiguous=fallback.max_ambiguous,
        manual_deadline_ms=fallback.manual_deadline,
        four_eyes_above_minor=fallback.four_eyes_above_minor,
    )


def _shop_takes(document: Document) -> tuple[str, ...]:
    shop = document.shop
    urls = {} if shop is None else {
        "notify": shop.notify_url, "compensate": shop.compensate_url, "refund": shop.refund_url,
    }  # fmt: skip
    return tuple(name for name, url in urls.items() if url is not None)


def _receivers(document: Document, endpoints: Endpoints) -> tuple[ReceiverSettings, ...]:
    found: dict[str, list[str]] = {receiver.name: [] for receiver in document.notify.receivers}
    for endpoint in endpoints.integrations:
        receiver, _, integration = endpoint.name.partition("/")
        found[receiver].append(integration)
    return tuple(ReceiverSettings(name, tuple(names)) for name, names in found.items())


def _public_url(listen: Listen) -> str:
    """An address that works on this machine; `public_url` names a better one."""
    host = listen.host
    try:
        is_unspecified = ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name; it may begin with a digit
        is_unspecified = False
    if is_unspecified:
        host = "127.0.0.1"
    elif ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{listen.port}"
