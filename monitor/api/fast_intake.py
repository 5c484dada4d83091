"""The short way of events into the loop: the same checks, decoder and answers as `post_events`.

    whole request ─┬─ ordinary ─► gathered with those of the same turn ─► decoded together ─┐
                   └─ anything else ─► decoded alone ───────────────────────────────────────┴─► loop

No task and no future per request: the answer is written in the turn of the loop that made the
events durable. What a turn of the event loop read from many connections is admitted, decoded and
queued as one: of a single event that is most of the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web

from monitor.api.auth import INGEST
from monitor.api.body import plain_body
from monitor.api.caller import Caller
from monitor.api.decode import Decoded, decode_together
from monitor.api.edge import Edge
from monitor.api.fast_answer import as_bytes
from monitor.api.fast_head import PATH, Head, HeadError
from monitor.api.fast_heads import Heads
from monitor.api.idempotency import HEADER, Name, check_key, digest_of
from monitor.api.ingest import (
    ACCEPTED,
    ONE_ACCEPTED,
    all_rejected,
    answer_body,
    context_of,
    read_events,
)
from monitor.api.once import REPLAYED
from monitor.api.overload import EVENTS_FILL, Place
from monitor.api.problems import from_error, log_failure, problem
from monitor.api.signed import SOURCE_PARAMETER, is_signed
from monitor.model.errors import InvariantError, MonitorError
from monitor.model.events import OrderEvent

GATHERED_BYTES_MAX = 4_096  # a larger body is decoded alone
TOGETHER_MAX = 128  # bodies decoded at once: one odd one sends as many to be decoded alone


class Waiting:
    """A request that waits for its answer: `raw` are its bytes, and `tell` is told of them.

    It is the `Reply` of the loop's queue. `is_last`: the connection ends with this answer.
    """

    __slots__ = ("_intake", "_keep", "_tell", "decoded", "is_last", "place", "raw")

    def __init__(self, intake: Intake, tell: Callable[[], None]) -> None:
        self._intake = intake
        self._tell = tell
        self._keep: Name | None = None
        self.decoded = Decoded()
        self.place: Place | None = None  # what it takes of the way to the disk
        self.is_last = False
        self.raw: bytes | None = None

    def keep(self, name: Name) -> None:
        """Remember the answer under an idempotency key."""
        self._keep = name

    def done(self) -> bool:
        """Whether the answer is there."""
        return self.raw is not None

    def set_result(self, result: Sequence[str], /) -> None:
        """Take what became of the events."""
        body = answer_body(self.decoded, result)
        if body is None:
            self.finish(all_rejected(self.decoded, result))
            return
        self._settle(body)
        if self.is_last:
            said = web.Response(status=202, body=body, content_type="application/json")
            self.raw = self._intake.written(said, is_last=True)
        else:
            self.raw = self._intake.accepted(body)
        self._tell()

    def accept(self, raw: bytes) -> None:
        """Take the answer that the one event of the request was accepted."""
        self.raw = raw
        self._tell()

    def set_exception(self, exception: MonitorError, /) -> None:
        """Take why nothing was taken."""
        self.finish(from_error(exception))

    def finish(self, response: web.Response) -> None:
        """Take an answer that was made for the other listener."""
        self._settle(None)
        self.is_last = self.is_last or response.keep_alive is False
        self.raw = self._intake.written(response, is_last=self.is_last)
        self._tell()

    def _settle(self, body: bytes | None) -> None:
        """Keep a success for whoever repeats the request; after anything else it may be tried anew."""
        if self.place is not None:
            self._intake.edge.flow.leave(self.place)
            self.place = None
        if self._keep is not None:
            answers, name, self._keep = self._intake.edge.event_answers, self._keep, None
            if body is None:
                answers.forget(name)
            else:
                answers.keep(name, 202, body)


class _Member(NamedTuple):
    """One ordinary request of many."""

    head: Head
    body: bytes
    waiting: Waiting


class _Together:
    """Requests with one event each that go through the loop as one; the `Reply` of all of them."""

    def __init__(self, intake: Intake, members: Sequence[_Member]) -> None:
        self._intake = intake
        self._is_done = False
        self.place: Place | None = None
        self.waiting = [member.waiting for member in members]
        self.events: list[OrderEvent] = []

    def done(self) -> bool:
        """Whether the answers are there."""
        return self._is_done

    def set_result(self, result: Sequence[str], /) -> None:
        """Take what became of the events."""
        self._leave()
        raw = self._intake.accepted(ONE_ACCEPTED)
        for waiting, event, outcome in zip(self.waiting, self.events, result, strict=True):
            if outcome == ACCEPTED:
                waiting.accept(raw)
            else:
                waiting.decoded = Decoded((event,), (0,))
                waiting.set_result((outcome,))

    def set_exception(self, exception: MonitorError, /) -> None:
        """Take why nothing was taken."""
        self.finish(from_error(exception))

    def finish(self, response: web.Response) -> None:
        """Take an answer that is the same for all."""
        self._leave()
        for waiting in self.waiting:
            waiting.finish(response)

    def _leave(self) -> None:
        self._is_done = True
        if self.place is not None:
            self._intake.edge.flow.leave(self.place)
            self.place = None


class Intake:
    """The way of requests from their bytes into the queue of the loop."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.heads = Heads(edge)
        self._gathered: list[_Member] = []  # in this turn of the event loop

    def accepted(self, body: bytes) -> bytes:
        """A 202 on a connection that stays open."""
        return self.edge.accepted.answer(body, self.edge.clock.now_ms())

    def written(self, response: web.Response, *, is_last: bool) -> bytes:
        """Any other answer."""
        return as_bytes(response, self.edge.clock.now_ms(), is_last=is_last)

    def take(self, head: Head, raw_body: bytes, waiting: Waiting) -> None:
        """Take a request in; `waiting` gets its answer now or later, whatever happens."""
        if not head.is_ordinary or len(raw_body) > GATHERED_BYTES_MAX:
            self._take_alone(head, raw_body, waiting)
            return
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._take_gathered)
        self._gathered.append(_Member(head, raw_body, waiting))

    def _take_gathered(self) -> None:
        """Take what was gathered, by who sent it."""
        gathered, self._gathered = self._gathered, []
        callers: dict[int, Caller | None] = {}
        senders: dict[int, tuple[Caller, list[_Member]]] = {}
        for member in gathered:
            name = id(member.head)
            if name not in callers:
                callers[name] = self._admitted(member.head)
            caller = callers[name]
            if caller is None:  # it will hear why
                self._take_alone(*member)
            else:
                senders.setdefault(id(caller), (caller, []))[1].append(member)
        for caller, members in senders.values():
            for start in range(0, len(members), TOGETHER_MAX):
                self._take_together(caller, members[start : start + TOGETHER_MAX])

    def _admitted(self, head: Head) -> Caller | None:
        try:
            return self._caller(head, b"")
        except MonitorError:
            return None

    def _take_together(self, caller: Caller, members: list[_Member]) -> None:
        edge = self.edge
        if len(members) == 1 or edge.flow.fill >= EVENTS_FILL:  # then each is judged for itself
            for member in members:
                self._take_alone(*member)
            return
        together, odd = _Together(self, members), []
        with _Answering(together):
            edge.check_quota(caller)
            bodies = [member.body for member in members]
            together.place = edge.flow.admit(sum(map(len, bodies)))
            context = context_of(edge, caller)
            decoded = decode_together(bodies, context)
            if not all(decoded):
                odd = [one for one, event in zip(members, decoded, strict=True) if not event]
                together.waiting = [
                    one.waiting for one, event in zip(members, decoded, strict=True) if event
                ]
            together.events = [event for event in decoded if event]
            edge.quotas.spend(caller.source, len(together.events), context.received_ms)
            edge.flow.queue(together.place, len(together.events))
            if together.events:
                edge.service.offer(tuple(together.events), None, together)
            else:
                together.set_result(())
        for member in odd:
            self._take_alone(*member)

    def _take_alone(self, head: Head, raw_body: bytes, waiting: Waiting) -> None:
        with _Answering(waiting):
            self._take(head, raw_body, waiting)

    def _take(self, head: Head, raw_body: bytes, waiting: Waiting) -> None:
        edge, headers = self.edge, head.headers
        caller = self._caller(head, raw_body)
        body = plain_body(raw_body, headers.get("Content-Encoding", ""), edge.limits)
        if HEADER in headers and self._is_repeated(caller, head, body, waiting):
            return
        edge.check_quota(caller)
        waiting.place = edge.flow.enter(body, headers)
        waiting.decoded = read_events(
            edge, caller, headers.get("Content-Type", ""), head.attributes, body
        )
        if waiting.decoded.events:
            edge.flow.queue(waiting.place, len(waiting.decoded.events))
            edge.service.offer(waiting.decoded.events, caller.message, waiting)
        else:
            waiting.set_result(())

    def _caller(self, head: Head, raw_body: bytes) -> Caller:
        if not is_signed(head.headers):
            return self.edge.gate.admit(head.headers, INGEST, self.edge.clock.now_ms())
        source = head.query.get(SOURCE_PARAMETER, [None])[0]
        now_ms = self.edge.clock.now_ms()
        return self.edge.gate.signatures.verify(head.headers, source, raw_body, now_ms)

    def _is_repeated(self, caller: Caller, head: Head, body: bytes, waiting: Waiting) -> bool:
        """Whether the idempotency key has its answer; else it waits for this one."""
        key = head.headers[HEADER]
        check_key(key)
        name = (caller.name, key)
        digest = digest_of("POST", head.target, body, head.headers)
        known = self.edge.event_answers.begin(name, digest, self.edge.clock.now_ms())
        if known is None:
            waiting.keep(name)
            return False
        waiting.finish(
            web.Response(
                status=known.status,
                headers={REPLAYED: "true"},
                body=known.body,
                content_type="application/json",
            )
        )
        return True


class _Answering:
    """Errors become problems; what nobody expected becomes a 500 whose log names no content."""

    def __init__(self, waiting: Waiting | _Together) -> None:
        self._waiting = waiting

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return error is None
        if not isinstance(error, MonitorError) or isinstance(error, InvariantError):
            log_failure("POST", PATH, error)
        if isinstance(error, MonitorError):
            self._waiting.finish(from_error(error))
        else:
            self._waiting.finish(problem(500, InvariantError.code, "internal error"))
        return True


def refusal(error: MonitorError) -> web.Response:
    """The answer to a head that was refused."""
    if isinstance(error, HeadError):
        return problem(error.status, error.code, str(error))
    return from_error(error)
