"""A supplier's API described in YAML: fill the template, sign, send once, read by the table.

Nothing here decides what happens next. The channel only says what is known:
* no connection, or refused before a byte left: `rejected` with code `not_sent`, certainly not done;
* anything unclear from then on: `unknown`;
* goods: into the vault first, then `delivered` with their number and digest.

A supplier without a price guard can charge more than it should; `{{ max_cost_minor }}` in the
template hands it our limit, and a `cost` in its answer is reported either way.

An `idempotent` channel without `query` is asked by sending the submit again. Such an answer says
`is_query=False`, because a rejection of a replay proves nothing about the first try.
"""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.signing import bearer, hmac_sha256_hex, md5_sorted, webhook_headers
from monitor.adapters.supplier_answer import Finding, read_answer
from monitor.adapters.supplier_template import FilledRequest, fill, values_of
from monitor.adapters.unanswered import unanswered
from monitor.model.effects import Quarantine, Query, Submit
from monitor.model.endpoints import HttpChannel, HttpRequest, Signing
from monitor.model.errors import Permanent, StorageError, Transient, UnknownOutcome
from monitor.model.records import AttemptAnswered

SIGN_FIELD = "sign"


class Keeper(Protocol):
    """The part of `channels.base.Vault` that takes goods in; a channel never takes them out."""

    async def store(self, attempt_ref: str, goods: list[str]) -> str:
        """Make the goods durable and return their digest; raises StorageError."""
        ...

    async def quarantine(self, attempt_ref: str) -> None:
        """Lock the attempt's goods away for ever."""
        ...


class HttpSupplier:
    """Speaks with one supplier; keeps `DeliveryChannel`."""

    def __init__(self, channel: HttpChannel, client: HttpClient, vault: Keeper) -> None:
        self._channel = channel
        self._client = client
        self._vault = vault

    async def submit(self, effect: Submit, now_ms: int) -> AttemptAnswered:
        """Buy once; never raises for what the supplier or the network does."""
        answer = unanswered(effect, now_ms)
        try:
            http_answer = await self._send(self._channel.submit, effect, now_ms)
        except (Transient, Permanent) as error:
            blame = "us" if isinstance(error, Permanent) else "channel"
            return msgspec.structs.replace(
                answer, outcome="rejected", code="not_sent", blame=blame, detail=error.code
            )
        except UnknownOutcome as error:
            return msgspec.structs.replace(answer, detail=str(error))
        return await self._understood(http_answer, answer)

    async def query(self, effect: Query, now_ms: int) -> AttemptAnswered:
        """Ask, or send the same submit again to an idempotent channel; a failure is `unknown`."""
        is_replay = self._channel.query is None
        answer = msgspec.structs.replace(unanswered(effect, now_ms), is_query=not is_replay)
        if is_replay and self._channel.capability != "idempotent":
            return msgspec.structs.replace(answer, detail="this channel cannot be asked")
        try:
            template = self._channel.query or self._channel.submit
            http_answer = await self._send(template, effect, now_ms)
        except (Transient, Permanent, UnknownOutcome) as error:
            return msgspec.structs.replace(answer, detail=str(error))
        understood = await self._understood(http_answer, answer)
        if is_replay and understood.outcome in ("rejected", "not_found"):
            return msgspec.structs.replace(
                answer, code=understood.code, detail="a refused replay proves nothing"
            )
        return understood

    async def quarantine(self, effect: Quarantine, now_ms: int) -> None:  # noqa: ARG002 - the port's
        """Lock the attempt's goods away for ever."""
        await self._vault.quarantine(effect.attempt_ref)

    async def _send(self, template: HttpRequest, effect: Submit | Query, now_ms: int) -> HttpAnswer:
        request = fill(template, values_of(effect))
        url, headers, body = sign(request, self._channel.sign, effect.attempt_ref, now_ms)
        return await self._client.request(
            request.method, url, headers=headers, body=body, timeout_ms=request.timeout_ms
        )

    async def _understood(
        self, http_answer: HttpAnswer, answer: AttemptAnswered
    ) -> AttemptAnswered:
        finding = read_answer(http_answer, self._channel)
        digest: str | None = None
        if finding.outcome == "delivered":
            try:
                digest = await self._vault.store(answer.attempt_ref, list(finding.goods))
            except StorageError as error:
                # The supplier still has them: what is not durable here was not obtained.
                return msgspec.structs.replace(answer, detail=f"vault: {error.code}")
        return _with_finding(answer, finding, digest)


def sign(
    request: FilledRequest, signing: Signing, message_id: str, now_ms: int
) -> tuple[str, dict[str, str], bytes]:
    """Sign and encode a request; returns URL, headers and body.

    `bearer` with a header of its own (`X-Api-Key`) sends the bare secret there.
    `md5_sorted` signs the top-level fields of the JSON body, the form, or else the URL's query.
    `hmac_sha256` signs the bytes of the body.
    """
    url, headers = request.url, dict(request.headers)
    fields, form = request.json, request.form
    secret = signing.secret
    if signing.kind == "md5_sorted" and secret is not None:
        name = signing.field or SIGN_FIELD
        if isinstance(fields, dict):
            fields = {**fields, name: md5_sorted(secret, fields, sign_field=name)}
        elif form is not None:
            form = {**form, name: md5_sorted(secret, form, sign_field=name)}
        else:
            asked = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
            asked[name] = md5_sorted(secret, asked, sign_field=name)
            url = urlunsplit(urlsplit(url)._replace(query=urlencode(asked)))
    body = _encoded(fields, form, headers)
    if secret is not None and signing.kind == "bearer":
        header = signing.header or "Authorization"
        is_standard = header.lower() == "authorization"
        headers[header] = bearer(secret) if is_standard else secret.reveal()
    elif secret is not None and signing.kind == "hmac_sha256":
        headers[signing.header or "X-Signature"] = hmac_sha256_hex(secret, body)
    elif secret is not None and signing.kind == "standard_webhooks":
        headers.update(webhook_headers(secret, message_id, now_ms, body))
    return url, headers, body


def _encoded(json: Any, form: dict[str, str] | None, headers: dict[str, str]) -> bytes:
    """Encode the body and name its type, unless the template names one."""
    named = {name.lower() for name in headers}
    if json is not None:
        if "content-type" not in named:
            headers["Content-Type"] = "application/json"
        return msgspec.json.encode(json)
    if form is not None:
        if "content-type" not in named:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return urlencode(form).encode()
    return b""


def _with_finding(answer: AttemptAnswered, finding: Finding, digest: str | None) -> AttemptAnswered:
    return msgspec.structs.replace(
        answer,
        outcome=finding.outcome,
        code=finding.code,
        retry=finding.error.retry,
        blame=finding.error.blame,
        supplier_ref=finding.supplier_ref,
        goods_count=len(finding.goods),
        goods_digest=digest,
        cost_minor=finding.cost_minor,
        detail=finding.detail,
    )
