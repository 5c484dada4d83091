"""The parts of `monitor.yaml` that say where messages, webhooks and traces go."""

from __future__ import annotations

from typing import Annotated

from monitor.config.values import FEW, ConfigModel, Flag, Name, Network, Text, Url


class Webhook(ConfigModel):
    """One endpoint for our signed webhooks (contract §6)."""

    url: Url | None = None
    url_file: Text | None = None
    types: Annotated[list[Text], FEW] = ["*"]
    secret: Text | None = None
    secret_file: Text | None = None


class PlainWebhook(ConfigModel):
    """A signed webhook whose types are fixed by its place in the file."""

    url: Url | None = None
    url_file: Text | None = None
    secret: Text | None = None
    secret_file: Text | None = None


class DingTalk(ConfigModel):
    """A DingTalk group robot; `secret` signs, the `at_…` keys name who is called by name."""

    url: Url | None = None
    url_file: Text | None = None
    secret: Text | None = None
    secret_file: Text | None = None
    at_mobiles: Annotated[list[Text], FEW] = []
    at_user_ids: Annotated[list[Text], FEW] = []
    at_all: Flag = False


class Receiver(ConfigModel):
    """A named group of integrations that all get the same message."""

    name: Name
    dingtalk: Annotated[list[DingTalk], FEW] = []
    webhook: Annotated[list[PlainWebhook], FEW] = []


class Route(ConfigModel):
    """Which receiver is told."""

    receiver: Name


class Notify(ConfigModel):
    """Receivers and the route to them."""

    route: Route | None = None
    receivers: Annotated[list[Receiver], FEW] = []


class Egress(ConfigModel):
    """Networks that may be reached although they are not global."""

    allow: Annotated[list[Network], FEW] = []


class Otlp(ConfigModel):
    """Export over OTLP/HTTP."""

    endpoint: Url
    traces: Flag = True
    metrics: Flag = False
    logs: Flag = False


class Telemetry(ConfigModel):
    """What we tell about ourselves."""

    otlp: Otlp | None = None
