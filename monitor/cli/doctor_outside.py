"""What `doctor` says about the way in and out: listener, egress, sources, receivers, modes."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import apsw
import msgspec

from monitor.adapters.channels.probe import probe
from monitor.adapters.clock import SystemClock
from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops import PUSHES
from monitor.adapters.storage.directory import DATABASE_NAME
from monitor.adapters.storage.sqlite_schema import connect_reader
from monitor.cli.finding import BAD, OK, WAITING, Finding
from monitor.config.load import Loaded
from monitor.model.addresses import is_loopback
from monitor.model.endpoints import HttpChannel, ShopSource
from monitor.model.tails import TailSource
from monitor.model.times import format_duration

SEGMENTS_MAX = 500  # of the log, the newest ones, in which sources are looked for
SILENT = "NOBODY WOULD BE TOLD: no receiver is configured"


class _Sent(msgspec.Struct):
    """The part of a logged event that says who sent it and when."""

    t: str = ""
    source: str = ""
    received_ms: int = 0


def look_outside(loaded: Loaded) -> list[Finding]:
    """Listener, egress, sources and receivers of a configuration."""
    return [
        _listener(loaded),
        _egress(loaded),
        *_sources(loaded),
        *_receivers(loaded),
        *_suppliers(loaded),
        _modes(loaded),
    ]


def _listener(loaded: Loaded) -> Finding:
    listen = loaded.endpoints.listen
    place = f"{listen.host}:{listen.port}"
    if is_loopback(listen.host):
        need = "keys are needed" if loaded.endpoints.keys else "ingest and read need no key"
        return Finding("listener", OK, f"{place}, this machine only; {need}")
    if loaded.settings.public_url.startswith("https://"):
        return Finding("listener", OK, f"{place} behind {loaded.settings.public_url}")
    return Finding(
        "listener", BAD, f"{place} can be reached by others, and keys travel without TLS",
        "put a reverse proxy with TLS in front and name it as public_url: https://…, or listen "
        "on 127.0.0.1",
    )  # fmt: skip


def _egress(loaded: Loaded) -> Finding:
    endpoints = loaded.endpoints
    parts = ["requests go to public addresses"]
    if endpoints.config_hosts:
        hosts = ", ".join(sorted(set(endpoints.config_hosts)))
        parts.append(f"to hosts written in the configuration ({hosts})")
    if endpoints.egress_allow:
        parts.append(f"to egress.allow ({', '.join(endpoints.egress_allow)})")
    found = f"{', '.join(parts)}; nowhere else"
    networks = [ipaddress.ip_network(text, strict=False) for text in endpoints.egress_allow]
    if any(network.prefixlen == 0 for network in networks):
        advice = "name only networks of your own in egress.allow: this opens every address"
        return Finding("egress", BAD, found, advice)
    return Finding("egress", OK, found)


def _sources(loaded: Loaded) -> list[Finding]:
    """Each configured source: heard of, or waiting for its first event."""
    database = Path(loaded.endpoints.data_dir) / DATABASE_NAME
    heard, senders = _heard(database), _senders(loaded)
    read = {one.name for one in loaded.endpoints.shop_sources if one.database is not None}
    logs = {one.source: one for one in loaded.endpoints.tails}
    if not loaded.settings.sources:
        last = max(heard.values(), default=None)
        found = "none configured; events of any source are taken"
        if last is None:
            return [Finding("sources", WAITING, f"{found}; none came yet", _first_event(""))]
        return [Finding("sources", OK, f"{found}; the last came {_ago(last)}")]
    findings: list[Finding] = []
    for source in loaded.settings.sources:
        if source.name in heard:
            found = f"{source.name}: the last event came {_ago(heard[source.name])}"
            findings.append(Finding("sources", OK, found))
        elif source.name in read:
            advice = "start the service: `delivery-monitor serve`; it reads the shop by itself"
            findings.append(Finding("sources", WAITING, f"{source.name}: not read yet", advice))
        elif source.name in logs:
            findings.append(_log(logs[source.name]))
        elif source.name in senders:
            findings.append(_never_called(senders[source.name], loaded, database))
        else:
            found = f"{source.name}: waits for its first event"
            advice = _first_event(" --key-file F (the file named as its api_key_file)")
            findings.append(Finding("sources", WAITING, found, advice))
    return findings


def _senders(loaded: Loaded) -> dict[str, ShopSource]:
    """Sources that send by themselves in their own words, as far as anybody would believe them."""
    return {
        source.name: source
        for source in loaded.endpoints.shop_sources
        if source.kind in PUSHES and (source.secrets or not PUSHES[source.kind].SECRET.is_needed)
    }


def _log(tail: TailSource) -> Finding:
    """A log of which nothing was taken so far: it cannot be read, or nothing stands in it."""
    try:
        with Path(tail.file).open("rb"):
            found = f"{tail.source}: {tail.file} is followed; no event stands in it yet"
            return Finding("sources", WAITING, found, "the service reads it within a second")
    except OSError as error:
        found = f"{tail.source}: {tail.file} cannot be read: {error.strerror}"
        return Finding("sources", BAD, found, "see tail.file of the source, and the file's rights")


def _never_called(source: ShopSource, loaded: Loaded, database: Path) -> Finding:
    """Of a service that has run: most likely the address or the secret is not entered at the sender."""
    path = f"/hooks/{source.name}"
    where = PUSHES[source.kind].SECRET.where
    advice = f"enter {loaded.settings.public_url}{path} as the address of the webhook ({where})"
    state = BAD if database.exists() else WAITING
    advice += "; if it calls and is refused, the log says hook_refused and why"
    found = f"{source.name}: no event of {source.kind} came to {path} yet"
    return Finding("sources", state, found, advice)


def _first_event(key: str) -> str:
    return f"send one: delivery-monitor emit paid A1 --channel auto{key}"


def _ago(at_ms: int) -> str:
    return f"{format_duration(max(0, SystemClock().now_ms() - at_ms))} ago"


def _heard(path: Path) -> dict[str, int]:
    """Sources in the newest part of the log and when we last heard of each, read only.

    A database that cannot be read tells nothing here; the check of the database says why.
    """
    if not path.exists() or path.stat().st_size == 0:
        return {}
    try:
        connection = connect_reader(path)
        try:
            rows = connection.execute(
                "SELECT body FROM segments WHERE kind = 'entries' ORDER BY position DESC LIMIT ?",
                (SEGMENTS_MAX,),
            ).fetchall()
        finally:
            connection.close()
    except apsw.Error:
        return {}
    decoder = msgspec.json.Decoder(_Sent)
    heard: dict[str, int] = {}
    for (body,) in rows:
        assert isinstance(body, bytes)
        for line in body.splitlines():
            try:
                sent = decoder.decode(line)
            except msgspec.DecodeError:
                continue
            if sent.t == "e":
                heard[sent.source] = max(heard.get(sent.source, 0), sent.received_ms)
    return heard


def _receivers(loaded: Loaded) -> list[Finding]:
    settings = loaded.settings
    findings: list[Finding] = []
    for receiver in settings.receivers:
        found = f"{receiver.name}: {', '.join(receiver.integrations)}"
        advice = f"try it: delivery-monitor notify test {receiver.name}"
        findings.append(Finding("receivers", OK, found, advice))
    if settings.default_receiver is None:
        advice = "add notify.receivers and notify.route to monitor.yaml (docs/configuration.md)"
        if settings.webhooks:
            found = f"no person would be told, only {len(settings.webhooks)} webhooks"
        else:
            found = SILENT
        findings.insert(0, Finding("receivers", BAD, found, advice))
    return findings


def _suppliers(loaded: Loaded) -> list[Finding]:
    """Suppliers that can be asked for something without buying it."""
    channels = [one for one in loaded.endpoints.http_channels if one.probe is not None]
    return asyncio.run(_probed(loaded, channels)) if channels else []


async def _probed(loaded: Loaded, channels: list[HttpChannel]) -> list[Finding]:
    client = HttpClient.of(loaded.endpoints)
    now_ms = SystemClock().now_ms()
    try:
        found = await asyncio.gather(*(probe(channel, client, now_ms) for channel in channels))
    finally:
        await client.close()
    advice = "check base_url, account and secret of the channel"
    return [
        Finding("suppliers", OK, f"{channel.name}: works" + _left(one.balance))
        if one.is_working
        else Finding("suppliers", BAD, f"{channel.name}: {one.detail}", advice)
        for channel, one in zip(channels, found, strict=True)
    ]


def _left(balance: str) -> str:
    return f", balance {balance}" if balance else ""


def _modes(loaded: Loaded) -> Finding:
    settings = loaded.settings
    found = f"failover {settings.failover.mode}, fallback {settings.fallback.mode}"
    if "enforce" not in (settings.failover.mode, settings.fallback.mode):
        found += ": it watches and tells, and switches, spends and delivers nothing"
    if settings.fallback.mode == "enforce" and not settings.fallback.has_shop:
        return Finding("modes", BAD, f"{found}, but no shop is configured: it only advises",
                       "add shop.claim_url and shop.deliver_url to monitor.yaml")  # fmt: skip
    return Finding("modes", OK, found)
