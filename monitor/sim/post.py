"""Handing events to the service as a careful shop does: only a full acknowledgement counts."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from monitor.model.errors import InputError, Transient
from monitor.sim.wire import Address


async def post(
    session: aiohttp.ClientSession, service: Address, events: list[dict[str, Any]]
) -> None:
    """Send events; returns only for an answer that acknowledges every one of them.

    Raises: Transient when they must be sent again, InputError when the service calls one wrong.
    """
    url = f"http://{service[0]}:{service[1]}/v1/events"
    try:
        async with session.post(url, json=events) as answer:
            status, body = answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Transient("no answer") from error
    if status == 400:
        raise InputError(body.decode())
    if status != 202:
        raise Transient(f"HTTP {status}")
    counts = json.loads(body)
    if counts["accepted"] + counts["duplicates"] != len(events):
        raise InputError(body.decode())
