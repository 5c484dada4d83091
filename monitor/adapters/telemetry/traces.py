"""One trace per order to an OTLP collector: offered by the loop, kept on disk, sent when it can be.

    offer ──► memory (bounded) ──► TraceQueue (a file, bounded) ──► POST <endpoint>/v1/traces

The stock exporter blocks the exit of the process for 30 s while the collector is down and drops
what does not fit into 2,048 spans (design D17). This one sends through the product's own client,
keeps what it cannot send on disk, and exits within a second. Files, encoding and the import of
OpenTelemetry happen on a thread of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.telemetry.logs import fields
from monitor.adapters.telemetry.trace_queue import AGE_MS_MAX, ROWS_MAX, Taken, TraceQueue
from monitor.model.errors import EffectError
from monitor.model.ids import hash01
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.ports import Clock, OrderRow

OFFERED_MAX = 10_000  # orders in memory while the disk does not take them
BACKOFF_MS_MAX = MINUTE_MS
POST_TIMEOUT_MS = 10_000
LINGER_MS = SECOND_MS  # orders that finish together travel together
EXIT_S_MAX = 1.0
LAST_ANSWER_S_MAX = 0.5  # of it, for the answer to a request that is under way

# What the specification of OTLP/HTTP calls retryable; every other failure would come again.
_RETRYABLE = (429, 502, 503, 504)

log = logging.getLogger("monitor.traces")

T = TypeVar("T")


class TraceCounts(msgspec.Struct, frozen=True):
    """Orders that wait, spans that went out or were refused, and orders lost to a bound."""

    waiting: int
    exported_spans: int
    refused_spans: int
    dropped: int


class OtlpTraceSink:
    """The trace sink of one data directory; see `TraceSink`.

    `endpoint` is the collector's base address, e.g. `http://127.0.0.1:4318`; its host and port are
    among the client's `config_hosts`. `run` is started through the supervisor.
    """

    def __init__(
        self,
        client: HttpClient,
        clock: Clock,
        endpoint: str,
        data_dir: Path,
        *,
        rows_max: int = ROWS_MAX,
        age_ms_max: int = AGE_MS_MAX,
        linger_ms: int = LINGER_MS,
        backoff_ms: int = SECOND_MS,
    ) -> None:
        self.client = client  # replaced when the configuration is reloaded
        self._clock = clock
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._queue = TraceQueue(data_dir, rows_max=rows_max, age_ms_max=age_ms_max)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="traces")
        self._linger_ms = linger_ms
        self._backoff_ms = backoff_ms
        self._offered: deque[tuple[str, bytes]] = deque()
        self._is_store_asked = False
        self._work = asyncio.Event()
        self._is_closed = False
        self._closing = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._post: asyncio.Timeout | None = None
        self._failures = 0
        self._waiting = 0
        self._exported = 0
        self._refused = 0
        self._dropped_offers = 0  # counted on the loop
        self._dropped_rows = 0  # counted on the thread

    @property
    def counts(self) -> TraceCounts:
        """What became of the orders so far, in this process."""
        waiting = self._waiting + len(self._offered)
        dropped = self._dropped_offers + self._dropped_rows
        return TraceCounts(waiting, self._exported, self._refused, dropped)

    def offer(self, order_row: OrderRow) -> None:
        """See TraceSink; an open order is left alone, the newest state of an order wins."""
        if order_row.closed_ms is None or self._closing.is_set():
            return
        if len(self._offered) >= OFFERED_MAX:
            self._offered.popleft()
            self._dropped_offers += 1
        self._offered.append((order_row.order_id, order_row.body))
        self._work.set()
        if not self._is_store_asked:  # on disk within milliseconds, whatever `run` waits for
            self._is_store_asked = True
            self._thread.submit(self._store)

    async def flush(self) -> None:
        """Return when everything offered so far is on disk, or the disk has refused it."""
        await self._on_thread(self._store)

    async def run(self) -> None:
        """Send until `close`; a collector or a disk that fails is tried again, ever more rarely."""
        self._stopped.clear()
        try:
            await self._run()
        finally:
            self._stopped.set()

    async def close(self) -> None:
        """Keep what was offered and let go of the file, within a second; sends nothing new."""
        if self._is_closed:
            return
        self._is_closed = True
        self._closing.set()
        self._work.set()
        if self._post is not None:
            self._post.reschedule(asyncio.get_running_loop().time() + LAST_ANSWER_S_MAX)
        try:
            async with asyncio.timeout(EXIT_S_MAX):
                await self._stopped.wait()
                await self._on_thread(self._store)
                await self._on_thread(self._queue.close)
        except TimeoutError:
            log.warning("traces_not_stored", extra=fields(orders=len(self._offered)))
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    # --- sending ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._waiting = await self._on_thread(self._count_waiting)
        while not self._closing.is_set():
            self._work.clear()
            is_done = await self._on_thread(self._store)
            taken, body = await self._on_thread(self._take)
            if taken.rows:
                is_done = await self._send(taken, body) and is_done
            if not is_done:
                self._failures += 1
                await self._pause(self._next_backoff_ms())
                continue
            self._failures = 0
            if not taken.rows:
                await self._work.wait()
                await self._pause(self._linger_ms)

    async def _send(self, taken: Taken, body: bytes) -> bool:
        """Send a batch and settle it; False when it has to be tried again."""
        outcome, rejected = "sent", 0
        if body:
            outcome, rejected = await self._post_batch(body)
        if outcome == "again":
            return False
        is_sent = outcome == "sent"
        self._exported += len(taken.spans) - rejected if is_sent else 0
        self._refused += rejected if is_sent else len(taken.spans)
        return await self._on_thread(lambda: self._settle(taken, is_sent=is_sent))

    async def _post_batch(self, body: bytes) -> tuple[str, int]:
        """POST one request: (sent, again or refused; spans the collector left out)."""
        try:
            async with asyncio.timeout(None) as self._post:
                answer = await self.client.request(
                    "POST",
                    self._url,
                    headers={"Content-Type": "application/x-protobuf"},
                    body=body,
                    timeout_ms=POST_TIMEOUT_MS,
                )
        except TimeoutError:
            return "again", 0  # `close` cut it short
        except EffectError as error:
            # Repeating is harmless, whatever arrived: the spans have the same ids.
            self._report("traces_not_sent", str(error))
            return "again", 0
        finally:
            self._post = None
        if 200 <= answer.status < 300:
            return "sent", await self._on_thread(lambda: _rejected(answer))
        self._report("traces_not_sent", f"HTTP {answer.status}")
        return ("again" if answer.status in _RETRYABLE else "refused"), 0

    async def _pause(self, wait_ms: int) -> None:
        """Wait, but not beyond `close`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1000):
                await self._closing.wait()

    def _next_backoff_ms(self) -> int:
        """Doubling with the number of failures, a quarter of it jittered by a hash."""
        wait_ms = min(self._backoff_ms << min(self._failures - 1, 16), BACKOFF_MS_MAX)
        return round(wait_ms * (0.75 + 0.25 * hash01(self._url, str(self._failures))))

    def _report(self, event: str, reason: str) -> None:
        """One line when a failure begins, not one per try."""
        if self._failures == 0:
            log.warning(event, extra=fields(reason=reason, orders=self.counts.waiting))

    # --- on the thread ----------------------------------------------------------------------------

    def _store(self) -> bool:
        """Move what was offered to the file; False when it refuses, then it stays in memory."""
        self._is_store_asked = False
        orders = [self._offered.popleft() for _ in range(len(self._offered))]
        if not orders:
            return True
        try:
            self._dropped_rows += self._queue.put(orders, self._clock.now_ms())
        except apsw.Error as error:
            self._offered.extendleft(reversed(orders))
            self._lose_file(error)
            return False
        self._waiting = self._queue.count()
        return True

    def _take(self) -> tuple[Taken, bytes]:
        try:
            taken = self._queue.take()
        except apsw.Error as error:
            self._lose_file(error)
            return Taken((), ()), b""
        if not taken.spans:
            return taken, b""
        # Imported here: it costs memory and time, and only those who configured it pay.
        from monitor.adapters.telemetry import otlp  # noqa: PLC0415

        return taken, otlp.encode(taken.spans)

    def _settle(self, taken: Taken, *, is_sent: bool) -> bool:
        try:
            self._queue.settle(taken, is_sent=is_sent)
            self._waiting = self._queue.count()
        except apsw.Error as error:
            self._lose_file(error)
            return False
        return True

    def _count_waiting(self) -> int:
        try:
            return self._queue.count()
        except apsw.Error as error:
            self._lose_file(error)
            return 0

    def _lose_file(self, error: apsw.Error) -> None:
        """Start afresh after an error; a damaged file is put aside, it holds telemetry only."""
        self._report("traces_not_stored", type(error).__name__)
        with contextlib.suppress(apsw.Error):
            self._queue.close()
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
            self._queue.put_aside()

    async def _on_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _rejected(answer: HttpAnswer) -> int:
    from monitor.adapters.telemetry import otlp  # noqa: PLC0415 - as in `_take`

    return otlp.rejected_spans(answer.body)
