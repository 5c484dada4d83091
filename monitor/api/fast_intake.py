"""What the fast listener does with a request: the same checks, decoder and answers as `/v1/events`.

No task and no future per request: the answer is written in the turn of the loop that made the
events durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from monitor.api.auth import INGEST
from monitor.api.body import plain_body
from monitor.api.caller import Caller
from monitor.api.decode import Decoded
from monitor.api.edge import Edge
from monitor.api.fast_answer import as_bytes
from monitor.api.fast_head import PATH, Head, HeadError
from monitor.api.idempotency import HEADER, Name, check_key, digest_of
from monitor.api.ingest import all_rejected, answer_body, read_events
from monitor.api.once import REPLAYED
from monitor.api.overload import Place
from monitor.api.problems import from_error, log_failure, problem
from monitor.api.signed import SOURCE_PARAMETER, is_signed
from monitor.model.errors import InvariantError, MonitorError


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


class Intake:
    """The way of a request from its bytes into the queue of the loop."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge

    def accepted(self, body: bytes) -> bytes:
        """A 202 on a connection that stays open."""
        return self.edge.accepted.answer(body, self.edge.clock.now_ms())

    def written(self, response: web.Response, *, is_last: bool) -> bytes:
        """Any other answer."""
        return as_bytes(response, self.edge.clock.now_ms(), is_last=is_last)

    def greet(self, head: Head) -> None:
        """Refuse by the head alone what needs no body; one that is signed needs it.

        Host and Origin are judged here and for as long as the gate is the same, a key with every
        request. Raises: AuthError.
        """
        gate, headers = self.edge.gate, head.headers
        gate.check_host(headers)
        gate.check_origin("POST", headers)
        if not is_signed(headers):
            gate.admit(headers, INGEST, self.edge.clock.now_ms())

    def take(self, head: Head, raw_body: bytes, waiting: Waiting) -> None:
        """Take a request in; `waiting` gets its answer now or later, whatever happens."""
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

    def __init__(self, waiting: Waiting) -> None:
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
