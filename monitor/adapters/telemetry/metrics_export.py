"""Metrics to an OTLP collector, once a minute, through the product's own client (as the traces).

    every minute: read (on the loop) ──► encode (on a thread) ──► POST <endpoint>/v1/metrics

Unlike spans, nothing is kept for a collector that is down: the counters only grow, so the next
request says everything that the lost one said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.telemetry.logs import fields
from monitor.adapters.telemetry.reading import Reading
from monitor.model.errors import EffectError
from monitor.model.times import MINUTE_MS, SECOND_MS

EVERY_MS = MINUTE_MS
POST_TIMEOUT_MS = 10 * SECOND_MS

log = logging.getLogger("monitor.metrics")


class ExportCounts(msgspec.Struct, frozen=True):
    """Requests the collector took and those it did not, and data points it refused."""

    sent: int
    failed: int
    refused_points: int


class OtlpMetricSink:
    """Exports what `read` gives, as long as `run` runs; the supervisor starts and stops it.

    `endpoint` is the collector's base address, e.g. `http://127.0.0.1:4318`; its host and port are
    among the client's `config_hosts`. `client` gives the one in use, which a reload replaces.
    """

    def __init__(
        self,
        client: Callable[[], HttpClient],
        endpoint: str,
        read: Callable[[], Reading],
        *,
        every_ms: int = EVERY_MS,
    ) -> None:
        self._client = client
        self._url = endpoint.rstrip("/") + "/v1/metrics"
        self._read = read
        self._every_ms = every_ms
        self._start_ms: int | None = None
        self._is_failing = False
        self._sent = 0
        self._failed = 0
        self._refused = 0

    @property
    def counts(self) -> ExportCounts:
        """What became of the requests so far, in this process."""
        return ExportCounts(self._sent, self._failed, self._refused)

    async def run(self) -> None:
        """Export now and every minute, until cancelled; a collector that is down stops nothing."""
        while True:
            await self.export()
            await asyncio.sleep(self._every_ms / SECOND_MS)

    async def export(self) -> None:
        """Read, encode and send once."""
        reading = self._read()
        if self._start_ms is None:
            self._start_ms = reading.at_ms
        body = await asyncio.to_thread(_encode, reading, self._start_ms)
        try:
            answer = await self._client().request(
                "POST",
                self._url,
                headers={"Content-Type": "application/x-protobuf"},
                body=body,
                timeout_ms=POST_TIMEOUT_MS,
            )
        except EffectError as error:
            self._fail(str(error))
            return
        if not 200 <= answer.status < 300:
            self._fail(f"HTTP {answer.status}")
            return
        self._is_failing = False
        self._sent += 1
        self._refused += await asyncio.to_thread(_rejected, answer)

    def _fail(self, reason: str) -> None:
        """Count it; one line when a failure begins, not one per minute."""
        self._failed += 1
        if not self._is_failing:
            log.warning("metrics_not_sent", extra=fields(reason=reason))
        self._is_failing = True


def _encode(reading: Reading, start_ms: int) -> bytes:
    # Imported here: it costs memory and time, and only those who configured it pay.
    from monitor.adapters.telemetry import otlp_metrics  # noqa: PLC0415

    return otlp_metrics.encode(reading, start_ms)


def _rejected(answer: HttpAnswer) -> int:
    from monitor.adapters.telemetry import otlp_metrics  # noqa: PLC0415 - as above

    return otlp_metrics.rejected_points(answer.body)
