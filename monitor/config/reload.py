"""What a reload may change while the service runs, and what waits for the next start."""

from __future__ import annotations

import msgspec

from monitor.config.load import Loaded

# (key of the file, field of Settings or Endpoints). A key whose meaning is built into stored or
# running things needs a restart: the socket, the data directory, the exporter, sums of money.
_SETTINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("language", ("language",)),
    ("timezone", ("timezone",)),
    ("currency", ("currency",)),
    ("promise", ("promise",)),
    ("tiers", ("tiers",)),
    ("sources", ("sources",)),
    ("gateways", ("listeners",)),
    ("channels", ("channels",)),
    ("failover", ("failover",)),
    ("fallback", ("fallback",)),
    ("shop", ("shop_takes",)),
    ("playbooks", ("playbooks",)),
    ("webhooks", ("webhooks",)),
    ("notify", ("receivers", "default_receiver")),
    ("retention", ("event_retention_ms", "order_retention_ms")),
    ("public_url", ("public_url",)),
)
_ENDPOINTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("listen", ("listen",)),
    ("listen_fast", ("listen_fast",)),
    ("listen_ingest", ("listen_ingest",)),
    ("listen_metrics", ("listen_metrics",)),
    ("connections", ("places",)),
    ("data_dir", ("data_dir",)),
    ("disk_reserve_mib", ("disk_reserve_mib",)),
    ("allowed_hosts", ("allowed_hosts",)),
    ("sources", ("keys", "source_secrets", "shop_sources", "quotas", "get_sources", "tails")),
    ("gateways", ("gateways",)),
    ("relays", ("relays",)),
    ("replay_window", ("replay_window_ms",)),
    ("channels", ("http_channels", "own_channels")),
    ("failover", ("failover",)),
    ("shop", ("shop",)),
    ("canary", ("canary",)),
    ("webhooks", ("webhooks",)),
    ("notify", ("integrations",)),
    ("egress", ("egress_allow", "config_hosts")),
    ("telemetry", ("telemetry",)),
)
RESTART_KEYS = (
    "listen", "listen_fast", "listen_ingest", "listen_metrics", "connections", "data_dir",
    "disk_reserve_mib", "currency", "telemetry", "canary",
)  # fmt: skip


def differences(old: Loaded, new: Loaded) -> tuple[list[str], list[str]]:
    """Name the top-level keys that differ: (those a reload may change, those that need a restart).

    A secret that changed in its file counts as a change of the key that names the file.
    """
    changed = dict.fromkeys(
        [
            *_changed(_SETTINGS, old.settings, new.settings),
            *_changed(_ENDPOINTS, old.endpoints, new.endpoints),
        ]
    )
    if "listen" in changed and old.settings.public_url != new.settings.public_url:
        # Derived from the address unless it is configured; then it is no change of its own.
        changed.pop("public_url", None)
    reloadable = [key for key in changed if key not in RESTART_KEYS]
    return reloadable, [key for key in changed if key in RESTART_KEYS]


def taken_over(old: Loaded, new: Loaded) -> Loaded:
    """The new configuration, with what needs a restart left as it is."""
    endpoints = msgspec.structs.replace(
        new.endpoints,
        listen=old.endpoints.listen,
        listen_fast=old.endpoints.listen_fast,
        listen_ingest=old.endpoints.listen_ingest,
        listen_metrics=old.endpoints.listen_metrics,
        places=old.endpoints.places,
        data_dir=old.endpoints.data_dir,
        disk_reserve_mib=old.endpoints.disk_reserve_mib,
        telemetry=old.endpoints.telemetry,
        canary=old.endpoints.canary,
    )
    settings = new.settings
    if settings.currency != old.settings.currency:  # and with it what amounts mean
        settings = msgspec.structs.replace(
            settings, currency=old.settings.currency, playbooks=old.settings.playbooks
        )
    return msgspec.structs.replace(new, settings=settings, endpoints=endpoints)


def _changed(table: tuple[tuple[str, tuple[str, ...]], ...], old: object, new: object) -> list[str]:
    return [
        key
        for key, fields in table
        if any(getattr(old, field) != getattr(new, field) for field in fields)
    ]
