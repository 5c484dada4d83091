"""A shop that posts one order after the other to a real service and remembers what was acknowledged."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.model.events import OrderEvent
from monitor.model.records import Record
from monitor.runtime.found import decode_segment


class Reply(NamedTuple):
    """What the service said, and after how long; status 0 when it said nothing."""

    status: int
    text: str
    seconds: float


class Sender:
    """Every order is paid now; its number is its name."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self.acknowledged: list[str] = []
        self.refusals: list[Reply] = []
        self.sent = 0

    def send(self, count: int = 1) -> Reply:
        """Post one batch of orders that were paid now."""
        ids = [f"o{self.sent + number}" for number in range(count)]
        self.sent += count
        now = datetime.now(UTC).isoformat()
        batch = [
            {"id": f"{one}-paid", "type": "order.paid", "source": "shop", "order_id": one,
             "time": now, "channel": "auto"}
            for one in ids
        ]  # fmt: skip
        reply = self.ask("POST", "/v1/events", json.dumps(batch))
        if reply.status == 202:
            assert json.loads(reply.text)["accepted"] == count, reply.text
            self.acknowledged += ids
        else:
            self.refusals.append(reply)
        return reply

    def send_until(self, status: int, within_s: float, count: int = 1) -> float:
        """Post until that answer comes; returns after how long, or fails."""
        started_s = time.monotonic()
        while time.monotonic() - started_s < within_s:
            reply = self.send(count)
            if reply.status == status:
                return time.monotonic() - started_s
            time.sleep(0.02)
        raise AssertionError(f"no {status} within {within_s} s; last {self.refusals[-1:]}")

    def ask(self, method: str, path: str, body: str | None = None) -> Reply:
        """One request on a connection of its own."""
        started_s = time.monotonic()
        connection = http.client.HTTPConnection(self._address, timeout=10)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            said = (answer.status, answer.read().decode())
        except (OSError, http.client.HTTPException) as error:
            said = (0, str(error))
        finally:
            connection.close()
        return Reply(*said, time.monotonic() - started_s)

    def verbose(self) -> dict[str, Any]:
        """The facts of `/readyz?verbose`."""
        facts: dict[str, Any] = json.loads(self.ask("GET", "/readyz?verbose").text)["facts"]
        return facts


async def logged(data_dir: Path) -> list[Record]:
    """Everything in the log of a service that was stopped or died."""
    store = await open_sqlite(data_dir)
    records: list[Record] = []
    position = 0
    while segments := await store.read(position):
        records += [record for stored in segments for record in decode_segment(stored)]
        position = segments[-1].position
    await store.close()
    return records


def lost(acknowledged: Sequence[str], log: Sequence[Record]) -> list[str]:
    """Acknowledged orders that the log does not know."""
    known = {one.order_id for one in log if isinstance(one, OrderEvent)}
    return [one for one in acknowledged if one not in known]
