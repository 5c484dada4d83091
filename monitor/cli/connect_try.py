"""Asks a shop once, before it is written down: can it be read, and what would be read."""

from __future__ import annotations

import msgspec

from monitor.adapters.clock import SystemClock
from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.facts import Facts, Naming
from monitor.adapters.shops.probe import Probe, probe
from monitor.adapters.shops.reconcile import APIS
from monitor.config.values import host_port
from monitor.model.endpoints import Endpoints, ShopSource
from monitor.model.errors import InputError, SourceError
from monitor.model.times import format_duration

_NOBODY = Naming(lambda _text: "", lambda _text: "")  # what is read here is only counted


class Tried(msgspec.Struct, frozen=True):
    """What the shop answered, and what should be put right."""

    found: str
    advice: tuple[str, ...] = ()


async def try_out(source: ShopSource) -> Tried:
    """Ask the database, else the API.

    Raises: InputError saying why it cannot be read, and what to do.
    """
    now_ms = SystemClock().now_ms()
    try:
        if source.database is not None:
            return _of_probe(await probe(source, now_ms), now_ms)
        return await _of_api(source, now_ms)
    except SourceError as error:
        raise InputError(
            f"{source.name} cannot be read: {error}",
            code=error.code,
            hint=f"{error.hint}; or write it down as it is with --untested",
        ) from error


def _of_probe(found: Probe, now_ms: int) -> Tried:
    problems = [f"{what}; {advice}" for what, advice in found.problems()]
    if found.missing:
        raise InputError(problems[0], code="wrong_database", hint="or --untested")
    words = [found.place, found.version]
    if found.orders is not None:
        words.append(f"{found.orders} orders")
    if found.newest_ms is not None:
        words.append(f"the newest {format_duration(max(0, now_ms - found.newest_ms))} ago")
    return Tried(", ".join(words), tuple(problems))


async def _of_api(source: ShopSource, now_ms: int) -> Tried:
    assert source.api is not None, "asked for by the caller"
    hosts = (host_port(source.api.url),) if source.api.url else ()
    client = HttpClient.of(Endpoints(config_hosts=hosts))
    facts = Facts(source.name, _NOBODY, timezone=source.timezone, currency=source.currency)
    pull = APIS[source.kind](source, facts, client, lambda _source, _switched_off: None)
    try:
        polled = await pull.poll("", now_ms)
    finally:
        await pull.close()
        await client.close()
    orders = len({event.order_id for event in polled.events})
    more = "" if polled.is_last else " and more"
    return Tried(f"{orders} orders{more} changed lately")
