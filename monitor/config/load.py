"""Reads `monitor.yaml` into `Settings` and `Endpoints`; every problem at once, at its place.

    read ─► replace ${env:…} ─► leave out later keys ─► validate ─► cross-check ─► build

A step that finds problems does not stop the next: broken parts are left out (`prune`), the rest is
checked, and only at the end the whole list is raised.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from pydantic import ValidationError

from monitor.config.build_endpoints import build_endpoints
from monitor.config.build_settings import build_settings
from monitor.config.check import Mentioned, check_document, mentioned
from monitor.config.environment import refuse_plain_secrets, replace_references, warn_plain_tokens
from monitor.config.later import find_later
from monitor.config.playbooks_file import chosen_playbooks
from monitor.config.presets import with_presets
from monitor.config.problems import problems_from
from monitor.config.prune import Origins, culprits, without
from monitor.config.report import Report, printable
from monitor.config.schema import LANGUAGES, Document
from monitor.config.secret_files import SecretReader
from monitor.config.values import split_listen
from monitor.config.yaml_lines import Positions, read_with_positions
from monitor.model.addresses import is_loopback
from monitor.model.endpoints import Endpoints, Listen
from monitor.model.errors import ConfigError, Problem
from monitor.model.settings import Settings
from monitor.runtime.keys_file import read_keys

PREFIX = "DELIVERY_MONITOR_"
DEFAULTS = "(defaults)"  # stands for the file when there is none
ROUNDS_MAX = 64  # of leaving out what is broken; each round removes at least one part


class Loaded(msgspec.Struct, frozen=True):
    """A usable configuration; `warnings` say what is ignored or unwise. `path` None: defaults."""

    settings: Settings
    endpoints: Endpoints
    warnings: tuple[Problem, ...] = ()
    path: Path | None = None

    @property
    def needs_goods(self) -> bool:
        """Whether a channel may obtain keys, which the sealed file of goods must hold."""
        return any(one.kind in ("http", "stock", "sim") for one in self.settings.channels)


class Override(msgspec.Struct, frozen=True):
    """A value from the command line or the environment; `origin` is where it was written."""

    origin: str
    value: str


def load(
    path: Path | None = None,
    *,
    data_dir: str | None = None,
    listen: str | None = None,
    environ: Mapping[str, str] | None = None,
    needs_keys: bool = True,
) -> Loaded:
    """Load a configuration file; without one, `DELIVERY_MONITOR_CONFIG` or the defaults.

    Command line (`data_dir`, `listen`) beats environment beats file. `environ` is the process
    environment unless given. `needs_keys` False is for who makes the first key. Raises: ConfigError
    with every problem found.
    """
    environment = os.environ if environ is None else environ
    if path is None and (named := environment.get(f"{PREFIX}CONFIG")):
        path = Path(named)
    raw, positions = (
        ({}, Positions(values={}, keys={})) if path is None else read_with_positions(path)
    )
    report = Report(DEFAULTS if path is None else str(path), positions)
    if path is None and (here := Path("monitor.yaml")).exists():
        report.warn((), f"{here} is here and is not used", f"add --config {here}")
    document, names = _document({} if raw is None else raw, positions, environment, report)
    overrides = _overrides(environment, data_dir=data_dir, listen=listen)
    check_document(document, names, report)
    address = _listen(document, overrides.get("listen"), report)
    folder = Path() if path is None else path.parent
    data_folder = overrides["data_dir"].value if "data_dir" in overrides else document.data_dir
    secrets = SecretReader(folder, report)
    endpoints = build_endpoints(document, address, data_folder, secrets, report)
    has_key = _has_stored_key(data_folder, report) or names.has_api_key
    if needs_keys and not has_key:
        _check_listen("listen", address, overrides.get("listen"), report)
        for key, other in endpoints.more_addresses().items():
            _check_listen(key, other, None, report)
    settings = build_settings(document, endpoints)
    chosen = chosen_playbooks(
        document.playbooks, folder, document.currency, settings.shop_takes, report
    )
    settings = msgspec.structs.replace(settings, playbooks=chosen)
    if language := overrides.get("language"):
        settings = msgspec.structs.replace(settings, language=_language(language, report))
    if report.errors:
        raise ConfigError(_sorted(report.errors))
    return Loaded(settings, endpoints, tuple(_sorted(report.warnings)), path)


def _document(
    raw: object, positions: Positions, environ: Mapping[str, str], report: Report
) -> tuple[Document, Mentioned]:
    """Validate the file as far as it is sound; what is not is reported and left out."""
    raw = with_presets(raw, report)
    removed = report.left_out
    removed.update(refuse_plain_secrets(raw, report), find_later(raw, report))
    warn_plain_tokens(without(raw, removed)[0], report)
    # Only keys of mappings are gone so far, so list items are still where they are in the file.
    filled, failed = replace_references(without(raw, removed)[0], environ, report)
    unfilled = [positions.at(at) for at in failed]
    names = mentioned(raw)
    for attempt in range(ROUNDS_MAX):
        pruned, report.origins = without(filled, removed)
        try:
            return Document.model_validate(pruned), names
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)
            places = [report.origins.of(at) for at in culprits(details, pruned)]
            if attempt == 0:
                found = problems_from(error, positions, report.path, Document)
                # A reference that could not be replaced is one mistake, not two.
                report.errors += [p for p in found if (p.line, p.column) not in unfilled]
        if () in places:
            break
        removed.update(places)
    report.origins = Origins()
    return Document(), names


def _overrides(
    environ: Mapping[str, str], *, data_dir: str | None, listen: str | None
) -> dict[str, Override]:
    given = {"data_dir": data_dir, "listen": listen, "language": None}
    found: dict[str, Override] = {}
    for name, value in given.items():
        variable = f"{PREFIX}{name.upper()}"
        if value is not None:
            found[name] = Override(f"--{name.replace('_', '-')}", value)
        elif environ.get(variable):
            found[name] = Override(variable, environ[variable])
    return found


def _listen(document: Document, override: Override | None, report: Report) -> Listen:
    try:
        host, port = split_listen(override.value if override else document.listen)
    except ValueError as error:
        assert override is not None  # the file's own value was validated
        report.errors.append(Problem(override.origin, 1, 1, f"listen {error}"))
        return Listen()
    return Listen(host, port)


def _has_stored_key(data_dir: str, report: Report) -> bool:
    """Whether `delivery-monitor keys` made a key that was not revoked."""
    try:
        return any(key.revoked_ms is None for key in read_keys(Path(data_dir)))
    except ConfigError as error:
        report.errors += error.problems
        return True  # one mistake, not two


def _check_listen(key: str, listen: Listen, override: Override | None, report: Report) -> None:
    """Refuse an address others can reach while nobody needs a key (contract §3)."""
    if is_loopback(listen.host):
        return
    message = f"{key} {listen.host}:{listen.port} is not loopback: the service refuses to start without keys"
    hint = "make one with delivery-monitor keys new, or listen on 127.0.0.1"
    if override:
        report.errors.append(Problem(override.origin, 1, 1, message, hint))
    else:
        report.error((key,), message, hint)


def _language(override: Override, report: Report) -> str:
    if override.value not in LANGUAGES:
        message = f"language must be {' or '.join(LANGUAGES)}"
        report.errors.append(Problem(override.origin, 1, 1, message))
    return override.value


def _sorted(problems: list[Problem]) -> list[Problem]:
    """Put problems in the order of the file, each fit for one line of a terminal."""
    return [
        msgspec.structs.replace(
            problem, message=printable(problem.message), hint=printable(problem.hint)
        )
        for problem in sorted(problems, key=lambda problem: (problem.line, problem.column))
    ]
