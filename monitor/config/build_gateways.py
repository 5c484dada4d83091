"""Turns `gateways` into `GatewayAccess`es with their keys, and says what does not fit together."""

from __future__ import annotations

from monitor.adapters.gateways import GATEWAYS, unusable
from monitor.config.build_sources import check_place, database_of
from monitor.config.report import Report
from monitor.config.schema import Document
from monitor.config.schema_gateways import Gateway
from monitor.config.secret_files import SecretReader
from monitor.config.yaml_lines import YamlPath
from monitor.model.endpoints import GatewayAccess
from monitor.model.gateways import GatewayKeys
from monitor.model.spelling import did_you_mean

# What a kind needs besides `url` so that it can be asked about orders; others cannot be asked.
ASKED_WITH: dict[str, tuple[str, ...]] = {
    "bepusdt": (),
    "epusdt": (),
    "vpay": ("user", "password"),
    "yipay": ("merchant", "key"),
}
# Those that can be asked in their database instead.
READ = ("bepusdt", "epusdt", "vpay")
# Those whose listener can be seen to live, and what that needs.
LISTENERS: dict[str, tuple[str, ...]] = {"bepusdt": (), "vpay": ("url", "key")}


def build_gateways(
    document: Document, secrets: SecretReader, report: Report
) -> tuple[GatewayAccess, ...]:
    """Put together what gateways are checked and asked with; what cannot be got is reported."""
    found = []
    for index, gateway in enumerate(document.gateways):
        at: YamlPath = ("gateways", index)
        if gateway.name in [one.name for one in document.gateways[:index]]:
            where = (*at, "name")
            message = f"{report.name(where)}: '{gateway.name}' is taken by an earlier entry"
            report.error(where, message)
        if gateway.kind in GATEWAYS:
            found.append(_gateway(gateway, document, secrets, at))
            _check(gateway, found[-1], at, report)
        else:
            known = ", ".join(GATEWAYS)
            hint = did_you_mean(gateway.kind, GATEWAYS) or f"known are {known}"
            where = (*at, "kind")
            report.error(where, f"{report.name(where)} is no kind of payment gateway", hint)
    return tuple(found)


def _gateway(
    gateway: Gateway, document: Document, secrets: SecretReader, at: YamlPath
) -> GatewayAccess:
    keys = secrets.read_all(at, "key", gateway.key, gateway.key_file)
    password = secrets.read(at, "password", gateway.password, gateway.password_file)
    given = {
        name
        for name, value in (
            ("url", gateway.url), ("merchant", gateway.merchant), ("user", gateway.user),
            ("key", keys), ("password", password),
        )
        if value
    }  # fmt: skip
    database = database_of(gateway.database, secrets, (*at, "database"))
    can_be_asked = gateway.kind in ASKED_WITH and given >= {"url", *ASKED_WITH[gateway.kind]}
    can_be_asked |= gateway.kind in READ and database is not None
    can_be_watched = gateway.kind in LISTENERS and given >= set(LISTENERS[gateway.kind])
    return GatewayAccess(
        name=gateway.name,
        kind=gateway.kind,
        keys=GatewayKeys(
            keys,
            secrets.texts((*at, "public_key_file"), gateway.public_key_file or ()),
            gateway.currency or document.currency,
            gateway.order_in,
        ),
        url=gateway.url,
        merchant=gateway.merchant or "",
        user=gateway.user or "",
        password=password,
        database=database,
        providers=tuple(gateway.providers) or (gateway.name,),
        is_asked=can_be_asked and gateway.query is not False,
        ask_for_ms=gateway.ask_for,
        is_watched=can_be_watched and gateway.listener is not False,
    )


def _check(gateway: Gateway, built: GatewayAccess, at: YamlPath, report: Report) -> None:
    own = "key" if gateway.key else "key_file"
    for which, problem, hint in unusable(gateway.kind, built.keys):
        where = (*at, "public_key_file" if which == "public_keys" else own)
        report.error(where, f"{report.name(where)}{problem}", hint)
    if gateway.database is not None:
        check_place(gateway.database, report, (*at, "database"))
        if gateway.kind not in READ:
            where = (*at, "database")
            message = f"{report.name(where)}: orders of a {gateway.kind} are not read there"
            report.error(where, message, f"known are {', '.join(READ)}; leave it out")
    if gateway.order_in != "payId" and gateway.kind != "vpay":
        where = (*at, "order_in")
        report.error(where, f"{report.name(where)} is of kind vpay only", "leave it out")
    if gateway.query and not built.is_asked:
        _refuse_wish("query", ASKED_WITH, "be asked about orders", gateway, at, report)
    if gateway.listener and not built.is_watched:
        _refuse_wish("listener", LISTENERS, "be watched", gateway, at, report)


def _refuse_wish(
    key: str,
    table: dict[str, tuple[str, ...]],
    what: str,
    gateway: Gateway,
    at: YamlPath,
    report: Report,
) -> None:
    where = (*at, key)
    needs = table.get(gateway.kind)
    if needs is None:
        message = f"{report.name(where)}: a gateway of kind {gateway.kind} cannot {what}"
        report.error(where, message, f"write {key}: false")
    else:
        wanted = dict.fromkeys((*(("url",) if key == "query" else ()), *needs))
        names = ", ".join(
            f"{name}_file" if name in ("key", "password") else name for name in wanted
        )
        report.error(where, f"{report.name(where)}: to {what} it needs {names}")
