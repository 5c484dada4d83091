"""Turns `sources` with a kind of their own into `ShopSource`s, with their secrets."""

from __future__ import annotations

from monitor.adapters.shops import PULLS, PUSHES, check_url, kinds
from monitor.config.report import Report
from monitor.config.schema import Database, Document, Source
from monitor.config.schema_database import Place
from monitor.config.secret_files import SecretReader
from monitor.config.yaml_lines import YamlPath
from monitor.model.endpoints import ApiAccess, DatabaseAccess, ShopSource
from monitor.model.errors import InputError
from monitor.model.spelling import did_you_mean
from monitor.model.times import SECOND_MS

EVENTS = "events"  # the kind of a shop that speaks our language itself
POLL_MIN_MS = SECOND_MS


def build_sources(
    document: Document, secrets: SecretReader, report: Report
) -> tuple[ShopSource, ...]:
    """Put together what adapters of shops need; what cannot be got is reported."""
    found = []
    for index, source in enumerate(document.sources):
        at: YamlPath = ("sources", index)
        if source.database is not None and source.kind not in PULLS:
            hint = f"kind is one of {', '.join(sorted(PULLS))}"
            message = f"{report.name((*at, 'database'))}: no database of {source.kind} can be read"
            report.error((*at, "database"), message, hint)
        if source.kind in kinds():
            _check(source, report, at)
            built = _source(source, document, secrets, at)
            _check_secrets(source, built, report, at)
            found.append(built)
        elif source.kind != EVENTS:
            known = (EVENTS, *kinds())
            hint = did_you_mean(source.kind, known) or f"known are {', '.join(known)}"
            report.error((*at, "kind"), f"{report.name((*at, 'kind'))} is no kind of shop", hint)
    return tuple(found)


def _check(source: Source, report: Report, at: YamlPath) -> None:
    """Whether its adapter can work with what is there."""
    if source.poll < POLL_MIN_MS:
        report.error((*at, "poll"), f"{report.name((*at, 'poll'))} is less than 1s", "write 15s")
    if source.database is not None and source.kind in PULLS:
        _check_database(source.kind, source.database, report, (*at, "database"))
    elif source.kind in PULLS and not _is_named(source):
        report.error_missing(
            at, "database", f"{report.name(at)} is a {source.kind} and names no database",
            "name it as database.url, with database.password_file",
        )  # fmt: skip


def _is_named(source: Source) -> bool:
    """Whether it has a secret to be heard by."""
    return source.secret is not None or source.secret_file is not None


def _check_database(kind: str, database: Database, report: Report, at: YamlPath) -> None:
    check_place(database, report, at)
    if database.prefix is not None and PULLS[kind].prefix is None:
        name = report.name((*at, "prefix"))
        report.error((*at, "prefix"), f"{name}: the tables of {kind} have none", "leave it out")


def check_place(database: Place, report: Report, at: YamlPath) -> None:
    """Whether the address of a database can be one."""
    try:
        check_url(database.url)
    except InputError as error:
        report.error((*at, "url"), f"{report.name((*at, 'url'))} {error}", error.hint)


def _zone(source: Source, document: Document) -> str:
    """Where its naive times live: a kind of shop knows that better than the rest of the file."""
    kind = PULLS.get(source.kind)
    return source.timezone or (kind.timezone if kind else document.timezone)


def _source(source: Source, document: Document, secrets: SecretReader, at: YamlPath) -> ShopSource:
    api = source.api
    return ShopSource(
        name=source.name,
        kind=source.kind,
        secrets=secrets.read_all(at, "secret", source.secret, source.secret_file),
        database=database_of(source.database, secrets, (*at, "database")),
        api=None
        if api is None
        else ApiAccess(
            api.url,
            secrets.read((*at, "api"), "key", api.key, api.key_file),
            secrets.read((*at, "api"), "secret", api.secret, api.secret_file),
        ),
        poll_ms=source.poll,
        timezone=_zone(source, document),
        currency=source.currency or document.currency,
    )


def _check_secrets(source: Source, built: ShopSource, report: Report, at: YamlPath) -> None:
    """A sender without a secret is believed by nobody; one with another kind's neither."""
    push = PUSHES.get(source.kind)
    if push is None:
        return
    form = push.SECRET
    is_asked = source.api is not None or source.database is not None
    is_silent = source.kind in PULLS or is_asked  # it is read, and need not send anything
    if form.is_needed and not _is_named(source) and not is_silent:
        message = f"{report.name((*at, 'kind'))}: what {source.kind} sends is signed, so it needs secret_file"
        report.error((*at, "kind"), message, f"the secret is in {form.where}")
    where: YamlPath = (*at, "secret_file" if source.secret is None else "secret")
    if not all(form.fits(secret) for secret in built.secrets):
        message = f"{report.name(where)} holds no secret of {source.kind}: {form.looks}"
        report.error(where, message, f"the secret is in {form.where}")


def database_of(
    database: Place | None, secrets: SecretReader, at: YamlPath
) -> DatabaseAccess | None:
    """What stands under a key `database`, with its password."""
    if database is None:
        return None
    password = secrets.read(at, "password", database.password, database.password_file)
    prefix = database.prefix if isinstance(database, Database) else None
    return DatabaseAccess(database.url, password, prefix)
