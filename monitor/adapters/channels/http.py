"""A supplier's API described in YAML: fill the template, sign, send once, read by the table.

Nothing here decides what happens next. The channel only says what is known:
* no connection, or refused before a byte left: `rejected` with code `not_sent`, certainly not done;
* anything unclear from then on: `unknown`;
* goods: into the vault first, then `delivered` with their number and digest;
* an order that is `ready`: its goods are fetched with `collect`; until they are here, `accepted`.

A supplier without a price guard can charge more than it should; `{{ max_cost_minor }}` in the
template hands it our limit, and a `cost` in its answer is reported either way.

An `idempotent` channel without `query` is asked by sending the submit again. Such an answer says
`is_query=False`, because a rejection of a replay proves nothing about the first try. A `query` that
names the supplier's own number asks nothing while that is not known.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.signed_post import retry_after_ms
from monitor.adapters.supplier_answer import Finding, read_answer, read_body, word_at
from monitor.adapters.supplier_sign import is_from_supplier, sign
from monitor.adapters.supplier_template import Value, fill, translated, values_of
from monitor.adapters.unanswered import unanswered
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.endpoints import HttpChannel, HttpRequest
from monitor.model.errors import Permanent, StorageError, Transient, UnknownOutcome
from monitor.model.received import Received
from monitor.model.records import AttemptAnswered
from monitor.model.takeovers import SOLD_BEFORE

CALLBACK_STATUS = 200  # what `http` stands for in the rows of a callback


class Keeper(Protocol):
    """The part of `channels.base.Vault` that takes goods in; a channel never takes them out."""

    async def store(self, attempt_ref: str, goods: list[str]) -> str:
        """Make the goods durable and return their digest; raises StorageError."""
        ...

    async def quarantine(self, attempt_ref: str) -> None:
        """Lock the attempt's goods away for ever."""
        ...


class HttpSupplier:
    """Speaks with one supplier; keeps `DeliveryChannel` and `CallsBack`."""

    def __init__(self, channel: HttpChannel, client: HttpClient, vault: Keeper) -> None:
        self._channel = channel
        self._client = client
        self._vault = vault

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Buy once; never raises for what the supplier or the network does."""
        answer = unanswered(effect, now_ms)
        values = values_of(effect)
        try:
            http_answer = await self._send(self._channel.submit, values, now_ms)
        except (Transient, Permanent) as error:
            blame = "us" if isinstance(error, Permanent) else "channel"
            return msgspec.structs.replace(
                answer, outcome="rejected", code="not_sent", blame=blame, detail=error.code
            )
        except UnknownOutcome as error:
            return msgspec.structs.replace(answer, detail=str(error))
        finding = read_answer(http_answer, self._channel, self._channel.submit.answers)
        return await self._understood(finding, _paused(answer, http_answer), values)

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        """Ask, or send the same submit again to an idempotent channel; a failure is `unknown`."""
        is_replay = self._channel.query is None
        answer = msgspec.structs.replace(unanswered(effect, now_ms), is_query=not is_replay)
        if is_replay and self._channel.capability != "idempotent":
            return msgspec.structs.replace(answer, detail="this channel cannot be asked")
        values = values_of(effect)
        template = self._channel.query or self._channel.submit
        try:
            http_answer = await self._send(template, values, now_ms)
        except (Transient, Permanent, UnknownOutcome) as error:
            return msgspec.structs.replace(answer, detail=str(error))
        answer = _paused(answer, http_answer)
        finding = read_answer(http_answer, self._channel, template.answers)
        if finding.outcome == "refused":
            detail = "the question was refused, which says nothing of the order"
            return msgspec.structs.replace(answer, code=finding.code, detail=detail)
        understood = await self._understood(finding, answer, values)
        if is_replay and understood.outcome in ("rejected", "not_found"):
            return msgspec.structs.replace(
                answer, code=understood.code, detail="a refused replay proves nothing"
            )
        return understood

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:  # noqa: ARG002 - the port's
        """Lock the attempt's goods away for ever."""
        await self._vault.quarantine(effect.attempt_ref)

    def ref_of(self, received: Received, now_ms: int) -> str | None:
        """The attempt a callback is about; None unless it proves that the supplier sent it."""
        callback = self._channel.callback
        if callback is None or not is_from_supplier(received, callback.sign, now_ms):
            return None
        return word_at(received.fields, callback.ref)

    async def called_back(
        self, received: Received, question: Query, now_ms: int
    ) -> AttemptAnswered | None:
        """What a callback that passed `ref_of` says, as the answer to the attempt's next question.

        None if it says nothing; only a supplier that is asked can say that it knows no such order.
        """
        callback = self._channel.callback
        assert callback is not None, "ref_of found an attempt"
        answer = msgspec.structs.replace(unanswered(question, now_ms), is_query=True)
        rows = callback.answers or self._channel.answers
        finding = read_body(received.fields, CALLBACK_STATUS, self._channel, rows)
        if finding.outcome in ("unknown", "refused", "not_found"):
            return None
        return await self._understood(finding, answer, values_of(question))

    async def _send(
        self, template: HttpRequest, values: dict[str, Value], now_ms: int
    ) -> HttpAnswer:
        request = fill(template, translated(values, self._channel, now_ms))
        message_id = str(values["attempt_ref"])
        url, headers, body = sign(request, self._channel.sign, message_id, now_ms)
        return await self._client.request(
            request.method, url, headers=headers, body=body, timeout_ms=request.timeout_ms
        )

    async def _understood(
        self, finding: Finding, answer: AttemptAnswered, values: dict[str, Value]
    ) -> AttemptAnswered:
        """The answer with what was found; goods are in the vault before it says so."""
        if finding.outcome == "ready":
            finding = await self._collected(finding, values, answer.at_ms)
        digest: str | None = None
        if finding.outcome == "delivered":
            try:
                digest = await self._vault.store(answer.attempt_ref, list(finding.goods))
            except StorageError as error:
                if error.code == SOLD_BEFORE:  # bought, and no use to anybody
                    bare = msgspec.structs.replace(finding, goods=(), code=error.code)
                    return _with_finding(answer, bare, None)
                # The supplier still has them: what is not durable here was not obtained.
                return msgspec.structs.replace(answer, detail=f"vault: {error.code}")
        return _with_finding(answer, finding, digest)

    async def _collected(self, ready: Finding, values: dict[str, Value], now_ms: int) -> Finding:
        """Fetch the goods of an order that is ready; until that works it is an accepted one."""
        accepted = msgspec.structs.replace(ready, outcome="accepted")
        collect = self._channel.collect
        if collect is None:
            return accepted
        if ready.supplier_ref is not None:
            values = values | {"supplier_ref": ready.supplier_ref}
        try:
            http_answer = await self._send(collect, values, now_ms)
        except (Transient, Permanent, UnknownOutcome) as error:
            return msgspec.structs.replace(accepted, detail=str(error))
        found = read_answer(http_answer, self._channel, collect.answers)
        if found.outcome != "delivered":
            return msgspec.structs.replace(accepted, detail=f"ready, but {found.detail}")
        return msgspec.structs.replace(found, supplier_ref=found.supplier_ref or ready.supplier_ref)


def _paused(answer: AttemptAnswered, http_answer: HttpAnswer) -> AttemptAnswered:
    """The answer with how long the supplier wants to be left alone, whatever else it says."""
    wait_ms = retry_after_ms(http_answer.headers.get("retry-after"), answer.at_ms)
    return msgspec.structs.replace(answer, retry_after_ms=wait_ms)


def _with_finding(answer: AttemptAnswered, finding: Finding, digest: str | None) -> AttemptAnswered:
    """A refused request to buy is a rejection like any other."""
    return msgspec.structs.replace(
        answer,
        outcome="rejected" if finding.outcome == "refused" else finding.outcome,
        code=finding.code,
        retry=finding.error.retry,
        blame=finding.error.blame,
        supplier_ref=finding.supplier_ref,
        goods_count=len(finding.goods),
        goods_digest=digest,
        cost_minor=finding.cost_minor,
        detail=finding.detail,
    )
