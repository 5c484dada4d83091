"""Asking a supplier for something that buys nothing, to see whether it works and what is left there."""

from __future__ import annotations

import msgspec

from monitor.adapters.http_client import HttpClient
from monitor.adapters.json_answer import read_json
from monitor.adapters.supplier_answer import holds, value_at
from monitor.adapters.supplier_sign import sign
from monitor.adapters.supplier_template import Value, fill, own_values
from monitor.model.endpoints import HttpChannel
from monitor.model.errors import EffectError
from monitor.model.money import decimals_of, to_minor


class Probed(msgspec.Struct, frozen=True):
    """What a probe found; `balance` is as the supplier writes it, empty where it says nothing."""

    is_working: bool
    balance: str = ""
    detail: str = ""


async def probe(channel: HttpChannel, client: HttpClient, now_ms: int) -> Probed:
    """Send the channel's probe once; what goes wrong is said and never raised."""
    assert channel.probe is not None, "a channel without a probe is not probed"
    values: dict[str, Value] = own_values(channel, now_ms)
    try:
        request = fill(channel.probe.request, values)
        url, headers, body = sign(request, channel.sign, "probe", now_ms)
        answer = await client.request(
            request.method, url, headers=headers, body=body, timeout_ms=request.timeout_ms
        )
    except EffectError as error:
        return Probed(False, detail=str(error))
    said = read_json(answer.body, object)
    if not holds(channel.probe.when, answer.status, said):
        return Probed(False, detail=f"http {answer.status}, not as a working one answers")
    balance = None if channel.probe.balance is None else value_at(said, channel.probe.balance)
    return Probed(True, "" if balance is None else str(balance)[:40])


async def ask_wallet(
    channel: HttpChannel, client: HttpClient, now_ms: int, currency: str
) -> int | None:
    """Minor units left at the supplier, a balance being in major units; None if it does not say."""
    return to_minor((await probe(channel, client, now_ms)).balance, decimals_of(currency))
