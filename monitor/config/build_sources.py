"""Turns `sources` with a kind of their own into `ShopSource`s, with their secrets."""

from __future__ import annotations

from monitor.adapters.shops import kinds
from monitor.config.report import Report
from monitor.config.schema import Document, Source
from monitor.config.secret_files import SecretReader
from monitor.config.yaml_lines import YamlPath
from monitor.model.endpoints import ApiAccess, DatabaseAccess, ShopSource
from monitor.model.spelling import did_you_mean

EVENTS = "events"  # the kind of a shop that speaks our language itself


def build_sources(
    document: Document, secrets: SecretReader, report: Report
) -> tuple[ShopSource, ...]:
    """Put together what adapters of shops need; what cannot be got is reported."""
    found = []
    for index, source in enumerate(document.sources):
        at: YamlPath = ("sources", index)
        if source.kind in kinds():
            found.append(_source(source, document, secrets, at))
        elif source.kind != EVENTS:
            known = (EVENTS, *kinds())
            hint = did_you_mean(source.kind, known) or f"known are {', '.join(known)}"
            report.error((*at, "kind"), f"{report.name((*at, 'kind'))} is no kind of shop", hint)
    return tuple(found)


def _source(source: Source, document: Document, secrets: SecretReader, at: YamlPath) -> ShopSource:
    database, api = source.database, source.api
    return ShopSource(
        name=source.name,
        kind=source.kind,
        secrets=secrets.read_all(at, "secret", source.secret, source.secret_file),
        database=None
        if database is None
        else DatabaseAccess(
            database.url,
            secrets.read((*at, "database"), "password", database.password, database.password_file),
        ),
        api=None
        if api is None
        else ApiAccess(
            api.url,
            secrets.read((*at, "api"), "key", api.key, api.key_file),
            secrets.read((*at, "api"), "secret", api.secret, api.secret_file),
        ),
        poll_ms=source.poll,
        timezone=source.timezone or document.timezone,
        currency=source.currency or document.currency,
    )
