"""The part of `monitor.yaml` that says which callbacks are relayed, and where to."""

from __future__ import annotations

from monitor.config.values import ConfigModel, HostName, Name, Span, Text, Url


class Relay(ConfigModel):
    """Callbacks that come to `/relay/{shop}/{gateway}` go to `forward`.

    `kind` is one of `gateways` by name, with its keys, or a kind of gateway; without it the entry
    of `gateways` that is called as `gateway`.
    """

    shop: Name
    gateway: Name
    kind: Text | None = None
    forward: Url
    host: HostName | None = None
    patience: Span | None = None
