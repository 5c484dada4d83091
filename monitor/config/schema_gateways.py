"""The part of `monitor.yaml` that names payment gateways: how they are checked, and asked."""

from __future__ import annotations

from typing import Annotated

from monitor.config.schema_database import Place
from monitor.config.values import (
    FEW,
    ConfigModel,
    Currency,
    Files,
    Flag,
    Name,
    Span,
    Text,
    Url,
    one_of,
)
from monitor.model.times import MINUTE_MS


class Gateway(ConfigModel):
    """One payment gateway of a shop; without keys its callbacks are read and not checked."""

    name: Name
    kind: Text
    currency: Currency | None = None
    key: Text | None = None
    key_file: Files | None = None
    public_key_file: Files | None = None
    url: Url | None = None
    merchant: Text | None = None
    user: Text | None = None
    password: Text | None = None
    password_file: Text | None = None
    database: Place | None = None
    order_in: Annotated[str, one_of("payId", "param")] = "payId"
    providers: Annotated[list[Text], FEW] = []
    query: Flag | None = None
    ask_for: Span = 30 * MINUTE_MS
    listener: Flag | None = None
