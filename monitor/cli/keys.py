"""Make, list and revoke API keys.

A key is 256 random bits and is shown once: only its SHA-256 is kept, in data_dir/keys.json. The
service may run meanwhile; it takes a change over within two seconds. Scopes are ingest (send
events), read (look), operate (steer, includes read) and admin (everything). A key with --source
sends events as that source only. Keys named in the configuration are listed too; they are revoked
by taking them out of it.

Examples:
  delivery-monitor keys new --name shop --source main-shop
  delivery-monitor keys new --name grafana --scope read --expires 90d
  delivery-monitor keys list --config monitor.yaml
  delivery-monitor keys revoke key_0123456789abcdef0123
"""

from __future__ import annotations

import argparse
import os
import pwd
from contextlib import suppress
from pathlib import Path

import msgspec

from monitor.adapters.clock import SystemClock
from monitor.adapters.ids import RandomIds
from monitor.cli.output import say, say_json, table, warn
from monitor.config.load import Loaded, load
from monitor.model.errors import InputError, NotFoundError
from monitor.model.keys import KEY_PREFIX, NAME_MAX, ApiKey, token_sha256
from monitor.model.spelling import did_you_mean
from monitor.model.times import DAY_MS, format_rfc3339, parse_duration
from monitor.runtime.keyring import read_notebook
from monitor.runtime.keys_file import change_keys, read_keys

ACTIONS = ("new", "list", "revoke")
SCOPES = ("ingest", "read", "operate", "admin")
EXPIRES_MAX_MS = 3650 * DAY_MS


class KeyView(msgspec.Struct, frozen=True):
    """A key as it is listed; `id` begins with `sources/` where the configuration names it."""

    id: str
    name: str
    state: str
    scopes: tuple[str, ...]
    source: str | None
    last_four: str | None
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("key", nargs="?", metavar="ID", help="id or name of a key (revoke)")
    parser.add_argument("--name", help="what the key is for (new)")
    parser.add_argument("--scope", action="append", choices=SCOPES, help="what it may do, may be "
                        "given several times (new; default: ingest)")  # fmt: skip
    parser.add_argument("--source", help="it sends events as this source only (new)")
    parser.add_argument("--expires", metavar="SPAN", help="how long it is good, e.g. 90d (new)")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    loaded = load(options.config, data_dir=options.data_dir, needs_keys=False)
    if options.action == "new":
        return _new(options, loaded)
    if options.action == "revoke":
        return _revoke(options, loaded)
    return _list(options, loaded)


def _new(options: argparse.Namespace, loaded: Loaded) -> int:
    now_ms = SystemClock().now_ms()
    name = _name(options.name)
    _check_source(options.source, loaded)
    token = KEY_PREFIX + RandomIds().new_token()
    made = ApiKey(
        key_id=RandomIds().new_id("key"),
        name=name,
        sha256=token_sha256(token),
        last_four=token[-4:],
        scopes=tuple(dict.fromkeys(options.scope or ("ingest",))),
        created_ms=now_ms,
        created_by=_who(),
        source=options.source,
        expires_ms=None if options.expires is None else now_ms + _span(options.expires),
    )

    def add(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        if any(one.name == name and one.state(now_ms) == "active" for one in keys):
            raise InputError(
                f"there is a key named {name!r}", hint="revoke it, or take another name"
            )
        return (*keys, made)

    change_keys(Path(loaded.endpoints.data_dir), add)
    if options.json:
        say_json({"key": token, **msgspec.to_builtins(_view(made, now_ms, {}))})
    else:
        warn(f"{made.key_id} {name}: {' '.join(made.scopes)}; the key is shown once, keep it now")
        say(token)
    return 0


def _revoke(options: argparse.Namespace, loaded: Loaded) -> int:
    now_ms = SystemClock().now_ms()
    if options.key is None:
        raise InputError("keys revoke needs an ID", hint="see delivery-monitor keys list")
    revoked: list[ApiKey] = []

    def revoke(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        chosen = _chosen(options.key, keys, loaded)
        after = msgspec.structs.replace(chosen, revoked_ms=now_ms, revoked_by=_who())
        revoked.append(after)
        return tuple(after if one is chosen else one for one in keys)

    change_keys(Path(loaded.endpoints.data_dir), revoke)
    if options.json:
        say_json(_view(revoked[0], now_ms, {}))
    else:
        say(f"revoked {revoked[0].key_id} {revoked[0].name}")
    return 0


def _chosen(wanted: str, keys: tuple[ApiKey, ...], loaded: Loaded) -> ApiKey:
    if any(wanted == key.key_id for key in loaded.endpoints.keys):
        raise InputError(
            f"{wanted} is named in the configuration",
            hint="take its api_key_file out of monitor.yaml, then reload",
        )
    rest = [one for one in keys if one.revoked_ms is None]
    found = [one for one in rest if wanted in (one.key_id, one.name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one.key_id for one in found)
        raise InputError(f"{len(found)} keys are named {wanted!r}", hint=f"name one of {ids}")
    names = [text for one in rest for text in (one.key_id, one.name)]
    hint = did_you_mean(wanted, names) or "see delivery-monitor keys list"
    raise NotFoundError(f"there is no key {wanted!r} that could be revoked", hint=hint)


def _list(options: argparse.Namespace, loaded: Loaded) -> int:
    now_ms = SystemClock().now_ms()
    data_dir = Path(loaded.endpoints.data_dir)
    used = read_notebook(data_dir).used
    configured = [
        KeyView(one.key_id, one.source, "configured", one.scopes, one.source, None, None, None,
                _at(used.get(one.key_id)))
        for one in loaded.endpoints.keys
    ]  # fmt: skip
    views = [*configured, *(_view(one, now_ms, used) for one in read_keys(data_dir))]
    if options.json:
        say_json({"keys": views})
        return 0
    table([_row(view) for view in views],
          ["id", "name", "state", "scopes", "source", "ends in", "expires", "last used"])  # fmt: skip
    return 0


def _view(key: ApiKey, now_ms: int, used: dict[str, int]) -> KeyView:
    return KeyView(
        id=key.key_id,
        name=key.name,
        state=key.state(now_ms),
        scopes=key.scopes,
        source=key.source,
        last_four=key.last_four,
        created_at=_at(key.created_ms),
        expires_at=_at(key.expires_ms),
        last_used_at=_at(used.get(key.key_id)),
    )


def _row(view: KeyView) -> list[str]:
    shown = (view.source, view.last_four, view.expires_at, view.last_used_at)
    return [view.id, view.name, view.state, " ".join(view.scopes), *(one or "-" for one in shown)]


def _at(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_rfc3339(at_ms)


def _name(name: str | None) -> str:
    if name is None or not 1 <= len(name.strip()) <= NAME_MAX or not name.isprintable():
        raise InputError(f"--name must be 1 to {NAME_MAX} printable characters",
                         hint="say what the key is for")  # fmt: skip
    return name.strip()


def _check_source(source: str | None, loaded: Loaded) -> None:
    names = [one.name for one in loaded.settings.sources]
    if source is not None and names and source not in names:
        hint = did_you_mean(source, names) or f"configured are {', '.join(names)}"
        raise InputError(f"there is no source {source!r}", hint=hint)


def _span(text: str) -> int:
    with suppress(ValueError, OverflowError):
        span_ms = int(parse_duration(text))
        if 0 < span_ms <= EXPIRES_MAX_MS:
            return span_ms
    raise InputError("--expires must be a duration such as 12h or 90d, at most 3650d")


def _who() -> str:
    """Who is at the command line, for the audit."""
    number = os.getuid()
    try:
        return f"{pwd.getpwuid(number).pw_name} (command line)"
    except KeyError:
        return f"user {number} (command line)"
