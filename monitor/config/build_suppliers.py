"""Turns what a supplier's description says into the values adapters work with."""

from __future__ import annotations

from monitor.config.schema_channels import AnswerRow, Request, Sign
from monitor.config.schema_channels import Probe as ProbeKeys
from monitor.model.endpoints import AnswerRule, HttpRequest, Probe, Signing
from monitor.model.secret import Secret


def request_of(request: Request) -> HttpRequest:
    """A request template."""
    return HttpRequest(
        method=request.method,
        url=request.url,
        headers=request.headers,
        json=request.body_json,
        form=request.form,
        timeout_ms=request.timeout,
        answers=rows_of(request.answer),
    )


def rows_of(table: dict[str, AnswerRow] | None) -> tuple[AnswerRule, ...]:
    """An answer table, in the order of the file: the first row that matches wins."""
    return tuple(
        AnswerRule(
            outcome=outcome,
            when=row.when,
            goods=row.goods,
            supplier_ref=row.supplier_ref,
            code=row.code,
            cost=row.cost,
            split=row.split,
            not_goods=tuple(row.not_goods),
            cost_decimals=row.cost_decimals,
        )
        for outcome, row in (table or {}).items()
    )


def probe_of(probe: ProbeKeys | None) -> Probe | None:
    """A request that buys nothing, and how its answer looks."""
    if probe is None:
        return None
    request = HttpRequest(
        method=probe.method,
        url=probe.url,
        headers=probe.headers,
        json=probe.body_json,
        form=probe.form,
        timeout_ms=probe.timeout,
    )
    return Probe(request, probe.when, probe.balance)


def signing_of(sign: Sign, secret: Secret | None) -> Signing:
    """How requests are signed."""
    return Signing(
        kind=sign.kind,
        header=sign.header,
        field=sign.field,
        secret=secret,
        account=sign.account,
        account_header=sign.account_header,
        timestamp_header=sign.timestamp_header,
        join=sign.join,
        separator=sign.sep,
        prefix=sign.prefix,
        suffix=sign.suffix,
        skip_empty=sign.skip_empty,
        text=sign.text,
        encoding=sign.encoding,
    )
