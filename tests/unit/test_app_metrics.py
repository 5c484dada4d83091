"""The service exports metrics over OTLP when it is told to, and needs no restart of its own for it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from monitor.model.endpoints import Telemetry
from tests.otlp_receiver import Receiver
from tests.unit.app_world import StillClock, loaded, paid, ready, running


async def test_metrics_are_exported_once_the_state_is_rebuilt(tmp_path: Path) -> None:
    """The first request tells of the order that the process before took in."""
    async with running(loaded(tmp_path)) as monitor:
        await ready(monitor)
        await monitor.ingest((paid("A1"),))
    collector = Receiver()
    await collector.start()
    config = loaded(tmp_path)
    endpoints = msgspec.structs.replace(
        config.endpoints,
        telemetry=Telemetry(collector.endpoint, metrics=True),
        config_hosts=(*config.endpoints.config_hosts, collector.place),
    )
    config = msgspec.structs.replace(config, endpoints=endpoints)
    async with running(config, clock=StillClock()) as monitor:
        await ready(monitor)
        await collector.wait(calls=1)
    waiting = collector.metrics[0]["delivery.open_orders"].gauge.data_points
    assert sum(point.as_int for point in waiting) == 1
    await collector.stop()
