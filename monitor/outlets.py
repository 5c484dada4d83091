"""What leaves: effects to shops, suppliers and receivers, traces and metrics to a collector.

All of it goes through one HTTP client, which a reload replaces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from monitor.adapters.channels import Parts, build_channels
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import Blocked, HttpClient
from monitor.adapters.performer import OutsidePerformer
from monitor.adapters.telemetry.metrics_export import OtlpMetricSink
from monitor.adapters.telemetry.reading import read
from monitor.adapters.telemetry.traces import OtlpTraceSink
from monitor.adapters.vault import SealedVault
from monitor.core.engine import Engine
from monitor.model.endpoints import Endpoints, Telemetry
from monitor.model.settings import ChannelSettings
from monitor.ports import Clock
from monitor.runtime.supervisor import Supervisor


class Outlets:
    """The HTTP client and everything that sends with it. `blocked` counts what egress refused."""

    def __init__(
        self, supervisor: Supervisor, clock: Clock, goods: GoodsFile, endpoints: Endpoints
    ) -> None:
        self.blocked = Blocked()
        self.client = HttpClient.of(endpoints, self.blocked)
        self.traces: OtlpTraceSink | None = None
        self._supervisor = supervisor
        self._clock = clock
        self._goods = goods
        self._performer: OutsidePerformer | None = None

    def performer(
        self, channels: tuple[ChannelSettings, ...], endpoints: Endpoints
    ) -> OutsidePerformer:
        """Who performs effects from now on; it knows what the one before it had under way."""
        vault = SealedVault(self._goods)
        own = endpoints.own_channels
        parts = Parts(client=self.client, vault=vault, goods=self._goods, own=own)
        built = build_channels(channels, endpoints.http_channels, parts)
        self._performer = OutsidePerformer(
            self.client, endpoints, built, vault, self._clock, self._performer
        )
        return self._performer

    def trace(self, telemetry: Telemetry, data_dir: Path) -> None:
        """Begin to send traces, if they are wanted; one file of them, however often it is asked."""
        if telemetry.endpoint is None or not telemetry.traces or self.traces is not None:
            return
        self.traces = OtlpTraceSink(self.client, self._clock, telemetry.endpoint, data_dir)
        self._supervisor.spawn("traces", self.traces.run())

    def measure(self, telemetry: Telemetry, engine: Callable[[], Engine]) -> None:
        """Begin to send metrics, if they are wanted."""
        if telemetry.endpoint is None or not telemetry.metrics:
            return
        sink = OtlpMetricSink(
            lambda: self.client, telemetry.endpoint, lambda: read(engine(), self._clock.now_ms())
        )
        self._supervisor.spawn("metrics", sink.run())

    def renew(self, endpoints: Endpoints) -> HttpClient:
        """Send with a new client; returns the old one, to be retired when nothing holds it."""
        old, self.client = self.client, HttpClient.of(endpoints, self.blocked)
        if self.traces is not None:
            self.traces.client = self.client
        return old

    async def end_traces(self) -> None:
        """Send or keep what waits."""
        if self.traces is not None:
            await self.traces.close()
