"""The trace sink against a real OTLP receiver: once each, nothing lost, never in the way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from monitor.adapters.http_client import HttpClient
from monitor.adapters.telemetry.trace_queue import FILE_NAME, TraceQueue
from monitor.adapters.telemetry.traces import OtlpTraceSink
from monitor.model.events import EventType
from monitor.model.times import UnixMs
from tests.otlp_receiver import Receiver, attributes
from tests.unit.adapters.telemetry.orders import T0, delivered, event, folded, row


class SetClock:
    """A clock that stands where the test puts it."""

    def __init__(self) -> None:
        self.at_ms = T0

    def now_ms(self) -> UnixMs:
        return UnixMs(self.at_ms)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    server = Receiver()
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def running(
    receiver: Receiver,
    data_dir: Path,
    *,
    rows_max: int = 1_000,
    age_ms_max: int = 86_400_000,
    clock: SetClock | None = None,
) -> AsyncIterator[OtlpTraceSink]:
    client = HttpClient(config_hosts=(receiver.place,))
    sink = OtlpTraceSink(
        client,
        clock or SetClock(),
        receiver.endpoint,
        data_dir,
        rows_max=rows_max,
        age_ms_max=age_ms_max,
        linger_ms=1,
        backoff_ms=5,
    )
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        await sink.close()
        await asyncio.wait_for(task, 5)
        await client.close()


async def test_finished_order_arrives_as_one_trace(receiver: Receiver, tmp_path: Path) -> None:
    """The collector gets root and stages with their ids, times, kinds and attributes."""
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered()))
        await receiver.wait(spans=1)
    (root,) = receiver.spans
    assert root.name == "order"
    assert root.kind == root.SPAN_KIND_CONSUMER
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (
        T0 * 1_000_000,
        (T0 + 20_000) * 1_000_000,
    )
    assert attributes(root)["delivery.verdict"] == "good"
    assert attributes(root)["delivery.promise_s"] == 180.0
    assert root.status.code == root.status.STATUS_CODE_UNSET
    assert [one.name for one in root.events] == ["order.paid", "delivery.delivered"]
    resource = receiver.requests[0].resource_spans[0].resource
    assert {pair.key for pair in resource.attributes} == {"service.name", "service.version"}


async def test_late_order_is_an_error_span(receiver: Receiver, tmp_path: Path) -> None:
    """Status and error.type say that the promise broke."""
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered(after_s=200)))
        await receiver.wait(spans=1)
    root = receiver.spans[0]
    assert root.status.code == root.status.STATUS_CODE_ERROR
    assert attributes(root)["error.type"] == "late_delivered"


async def test_repeated_offer_is_exported_once(receiver: Receiver, tmp_path: Path) -> None:
    """Offering the same order again sends nothing; a new stage alone is sent."""
    paid, done = event(EventType.PAID, 0), event(EventType.DELIVERED, 20)
    verified = event(EventType.VERIFIED, 21)
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(folded(paid, done)))
        await receiver.wait(spans=1)
        sink.offer(row(folded(done, paid, paid)))
        sink.offer(row(folded(paid, done, verified)))
        await receiver.wait(spans=2)
        sink.offer(row(delivered("A2")))
        await receiver.wait(spans=3)
    assert [span.name for span in receiver.spans] == ["order", "verify", "order"]
    assert receiver.spans[1].parent_span_id == receiver.spans[0].span_id


async def test_open_order_is_left_alone(receiver: Receiver, tmp_path: Path) -> None:
    """Only finished orders have a trace."""
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(folded(event(EventType.PAID, 0))))
        await sink.flush()
        assert sink.counts.waiting == 0


async def test_collector_down_then_up_loses_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """1,300 orders of an outage arrive afterwards, once each, in requests of at most 500 spans."""
    await receiver.stop()
    async with running(receiver, tmp_path, rows_max=5_000) as sink:
        for number in range(1_300):
            sink.offer(row(delivered(f"A{number}")))
        await sink.flush()
        assert sink.counts.waiting == 1_300
        await receiver.start()
        await receiver.wait(spans=1_300)
    assert len({span.span_id for span in receiver.spans}) == 1_300
    assert len(receiver.spans) == 1_300
    sizes = [
        sum(len(scope.spans) for one in request.resource_spans for scope in one.scope_spans)
        for request in receiver.requests
    ]
    assert max(sizes) <= 500


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_busy_collector_is_asked_again(
    receiver: Receiver, tmp_path: Path, status: int
) -> None:
    """The statuses that OTLP calls retryable lose nothing."""
    receiver.status = status
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered()))
        await receiver.wait(calls=3)
        receiver.status = 200
        await receiver.wait(spans=1)


async def test_refusing_collector_is_not_asked_again(receiver: Receiver, tmp_path: Path) -> None:
    """Any other status is final: the batch goes, counted, and later ones are not held up."""
    receiver.status = 400
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered("A1")))
        await receiver.wait(calls=1)
        receiver.status = 200
        sink.offer(row(delivered("A2")))
        await receiver.wait(spans=1)
    assert sink.counts.refused_spans == 1
    assert attributes(receiver.spans[0])["shop.order.id"] == "A2"


async def test_spans_left_out_by_the_collector_are_counted(
    receiver: Receiver, tmp_path: Path
) -> None:
    """A partial success is a success with a number."""
    receiver.rejected = 1
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered("A1", after_s=1)))
        sink.offer(row(delivered("A2", after_s=1)))
        await receiver.wait(spans=2)
    assert sink.counts.exported_spans + sink.counts.refused_spans == 2
    assert sink.counts.refused_spans == receiver.calls


async def test_over_the_bound_the_oldest_leave_counted(receiver: Receiver, tmp_path: Path) -> None:
    """A queue of three keeps the three newest and says that two are gone."""
    await receiver.stop()
    async with running(receiver, tmp_path, rows_max=3) as sink:
        for number in range(5):
            sink.offer(row(delivered(f"A{number}")))
            await sink.flush()
        assert (sink.counts.waiting, sink.counts.dropped) == (3, 2)
        await receiver.start()
        await receiver.wait(spans=3)
    orders = [attributes(span)["shop.order.id"] for span in receiver.spans]
    assert orders == ["A2", "A3", "A4"]


async def test_too_old_orders_leave_counted(receiver: Receiver, tmp_path: Path) -> None:
    """What waited for longer than the bound is not worth a trace any more."""
    await receiver.stop()
    clock = SetClock()
    async with running(receiver, tmp_path, age_ms_max=60_000, clock=clock) as sink:
        sink.offer(row(delivered("A1")))
        await sink.flush()
        clock.at_ms += 60_001
        sink.offer(row(delivered("A2")))
        await sink.flush()
        assert (sink.counts.waiting, sink.counts.dropped) == (1, 1)


async def test_exit_is_not_held_up_by_a_hanging_collector(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Closing takes less than a second while a request hangs; the order waits for the next start."""
    receiver.hang = True
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered()))
        await receiver.wait(calls=1)
        sink.offer(row(delivered("A2")))
        started_s = time.monotonic()
        await sink.close()
        assert time.monotonic() - started_s < 1.0
    assert TraceQueue(tmp_path).count() == 2


async def test_killed_before_the_acknowledgement_sends_the_same_spans_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Received but never acknowledged: after the restart the very same bytes come again."""
    receiver.hang = True
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered(after_s=200)))
        await receiver.wait(calls=1)
    receiver.hang = False
    async with running(receiver, tmp_path):
        await receiver.wait(calls=2)
    first, second = receiver.requests
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


_OFFER_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from monitor.adapters.clock import SystemClock
from monitor.adapters.http_client import HttpClient
from monitor.adapters.telemetry.traces import OtlpTraceSink
from tests.unit.adapters.telemetry.orders import delivered, row

async def main():
    sink = OtlpTraceSink(HttpClient(config_hosts=[sys.argv[1]]), SystemClock(),
                         "http://" + sys.argv[1], Path(sys.argv[2]))
    running = asyncio.create_task(sink.run())
    for number in range(50):
        sink.offer(row(delivered(f"A{number}")))
    await sink.flush()
    print("stored", "opentelemetry" in sys.modules, flush=True)
    await running

asyncio.run(main())
"""


async def test_killed_process_loses_nothing_stored(receiver: Receiver, tmp_path: Path) -> None:
    """After kill -9 in an outage the next process sends all orders."""
    await receiver.stop()
    command = [sys.executable, "-c", _OFFER_AND_WAIT, receiver.place, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("stored")
        os.kill(process.pid, signal.SIGKILL)
    await receiver.start()
    async with running(receiver, tmp_path):
        await receiver.wait(spans=50)
    assert len({span.span_id for span in receiver.spans}) == 50


def test_nothing_of_opentelemetry_is_imported_before_it_is_needed() -> None:
    """Importing the sink costs nothing to those who do not trace."""
    probe = (
        "import sys, monitor.adapters.telemetry.traces;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_damaged_file_is_put_aside(receiver: Receiver, tmp_path: Path) -> None:
    """A file that is no database costs what was in it, not the service."""
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database" * 100)
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered()))
        await receiver.wait(spans=1)
    assert (tmp_path / f"{FILE_NAME}.damaged").exists()


async def test_locked_file_delays_but_loses_nothing(receiver: Receiver, tmp_path: Path) -> None:
    """While another program locks the file, orders wait in memory."""
    TraceQueue(tmp_path).put([], T0)
    other = apsw.Connection(str(tmp_path / FILE_NAME))
    other.execute("BEGIN EXCLUSIVE")
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered()))
        await sink.flush()
        assert sink.counts.waiting == 1
        other.execute("ROLLBACK")
        await receiver.wait(spans=1)
    other.close()


async def test_unreadable_order_does_not_block_the_queue(
    receiver: Receiver, tmp_path: Path
) -> None:
    """A body of another release is skipped; the next order goes out."""
    async with running(receiver, tmp_path) as sink:
        odd = row(delivered("A1"))
        sink.offer(type(odd)("A0", T0, b'{"order_id":7}'))
        sink.offer(odd)
        await receiver.wait(spans=1)
        sink.offer(row(delivered("A2")))
        await receiver.wait(spans=2)
    assert TraceQueue(tmp_path).count() == 0


async def test_file_is_private(receiver: Receiver, tmp_path: Path) -> None:
    """Order ids are nobody else's business."""
    async with running(receiver, tmp_path) as sink:
        sink.offer(row(delivered()))
        await sink.flush()
        assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0
