"""Turns `relays` into `RelaySettings` with their gateways' keys, and says what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.adapters.gateways import GATEWAYS
from monitor.config.report import Report
from monitor.config.schema import Document
from monitor.config.schema_relay import Relay
from monitor.config.values import host_port, split_url
from monitor.config.yaml_lines import YamlPath
from monitor.model.endpoints import GatewayAccess, Listen
from monitor.model.gateways import GatewayKeys
from monitor.model.relay import RelaySettings
from monitor.model.spelling import did_you_mean
from monitor.model.times import MINUTE_MS, SECOND_MS

PATIENCE_MS_MIN, PATIENCE_MS_MAX = SECOND_MS, MINUTE_MS


def build_relays(
    document: Document, gateways: Sequence[GatewayAccess], listen: Listen, report: Report
) -> tuple[RelaySettings, ...]:
    """Put relays together; what is wrong with one is reported."""
    by_name = {one.name: one for one in gateways}
    places = [(one.shop, one.gateway) for one in document.relays]
    found = []
    for index, relay in enumerate(document.relays):
        at: YamlPath = ("relays", index)
        if places[index] in places[:index]:
            message = f"{report.name(at)}: '{relay.shop}/{relay.gateway}' is there twice"
            report.error((*at, "gateway"), message)
        _check(relay, at, listen, report)
        built = _relay(relay, by_name, document, at, report)
        if built is not None:
            found.append(built)
    return tuple(found)


def _relay(
    relay: Relay,
    by_name: Mapping[str, GatewayAccess],
    document: Document,
    at: YamlPath,
    report: Report,
) -> RelaySettings | None:
    kind = relay.kind or relay.gateway
    access = by_name.get(kind)
    if access is None and kind not in GATEWAYS:
        is_broken = any(one.name == kind for one in document.gateways)
        if not is_broken:  # else it was reported there
            _refuse_kind(relay, kind, (*by_name, *GATEWAYS), at, report)
        return None
    keys = access.keys if access else GatewayKeys(currency=document.currency)
    if not keys.secrets and not keys.public_keys:
        where = (*at, "kind" if relay.kind else "gateway")
        message = f"{report.name(where)}: no key checks its callbacks, so anybody can send some"
        hint = "a payment counts once the shop accepted it; name a gateway with its key_file"
        report.warn(where, message, hint)
    return RelaySettings(
        shop=relay.shop,
        gateway=relay.gateway,
        kind=access.kind if access else kind,
        forward=relay.forward,
        host=relay.host or "",
        patience_ms=relay.patience,
        keys=keys,
        access=access.name if access else "",
    )


def _refuse_kind(
    relay: Relay, kind: str, known: Sequence[str], at: YamlPath, report: Report
) -> None:
    where = (*at, "kind" if relay.kind else "gateway")
    message = f"{report.name(where)} is neither one of gateways nor a kind of payment gateway"
    hint = did_you_mean(kind, known) or f"known are {', '.join(dict.fromkeys(known))}"
    report.error(where, message, hint if relay.kind else f"write kind: …; {hint}")


def _check(relay: Relay, at: YamlPath, listen: Listen, report: Report) -> None:
    where = (*at, "forward")
    parts = split_url(relay.forward)
    if parts.query or parts.fragment or "{{" in relay.forward:
        message = f"{report.name(where)} must end with its path"
        report.error(where, message, "the query of each callback is put behind it")
    own = host_port(f"http://{listen.host or '127.0.0.1'}:{listen.port or 1}")
    if host_port(relay.forward) == own:
        message = f"{report.name(where)} leads back to this service"
        report.error(where, message, "name the address of the shop itself")
    patience_ms = relay.patience
    if patience_ms is not None and not PATIENCE_MS_MIN <= patience_ms <= PATIENCE_MS_MAX:
        where = (*at, "patience")
        report.error(where, f"{report.name(where)} must be between 1s and 1m")
