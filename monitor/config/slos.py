"""SLOs of a rule file, and the ordinary rules their alerts become.

    page    1 h and 5 min  burn > 14.4   critical     2 % of a 30 day budget within an hour
    page    6 h and 30 min burn > 6      critical     5 % within six hours
    ticket  1 d and 2 h    burn > 3      warning     10 % within a day
    ticket  3 d and 6 h    burn > 1      warning     10 % within three days

The long window says that it matters, the short one that it still goes on. A short window with few
orders reaches back to `min_count` of them, at most as far as the long one: at ten orders an hour
five minutes hold nothing that could be proven.
Source: Google SRE workbook, chapter 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.config.rules_schema import AlertingFile, BurnFile, SloFile
from monitor.core.rules.parse import parse
from monitor.model.rules import Rule, Slo
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

INTERVAL_MS = 15 * SECOND_MS


def _burn(long_ms: int, short_ms: int, burn: float) -> BurnFile:
    return BurnFile.model_construct(long=long_ms, short=short_ms, burn=burn)


PRESETS = {
    "google-30d": AlertingFile.model_construct(
        page=[_burn(HOUR_MS, 5 * MINUTE_MS, 14.4), _burn(6 * HOUR_MS, 30 * MINUTE_MS, 6.0)],
        ticket=[_burn(DAY_MS, 2 * HOUR_MS, 3.0), _burn(3 * DAY_MS, 6 * HOUR_MS, 1.0)],
    )
}
_SEVERITIES = {"page": "critical", "ticket": "warning"}


def compiled_slo(slo: SloFile) -> Slo:
    """The objective as the core sees it."""
    return Slo(
        name=slo.name,
        objective=slo.objective,
        window_ms=slo.window,
        metric=slo.sli.metric,
        by=tuple(slo.by),
        min_count=slo.min_count,
        labels=tuple(sorted(slo.labels.items())),
        owner=slo.owner,
    )


def burn_rules(slo: SloFile) -> Iterator[tuple[Rule, float]]:
    """Yield the rules of an SLO, each with its burn rate; `alerting` replaces a preset."""
    alerting = slo.alerting or (PRESETS[slo.preset] if slo.preset else AlertingFile())
    words = "".join(part[:1].upper() + part[1:] for part in slo.name.replace("-", "_").split("_"))
    for kind, alerts in (("page", alerting.page), ("ticket", alerting.ticket)):
        for alert in alerts:
            name = f"{words}BudgetBurn{kind.capitalize()}{_written(alert.long)}"
            yield _rule(slo, alert, name, _SEVERITIES[kind]), alert.burn


def _rule(slo: SloFile, alert: BurnFile, name: str, severity: str) -> Rule:
    long, short, burn = _written(alert.long), _written(alert.short), f"{alert.burn:.12g}"
    expr = (
        f"burn_rate({slo.name}, {long}) > {burn} and "
        f"burn_rate({slo.name}, {short}:{slo.min_count}:{long}) > {burn}"
    )
    return Rule(
        alert=name,
        expr_text=expr,
        expr=parse(expr, [slo.name]).node,
        group=f"slo {slo.name}",
        interval_ms=INTERVAL_MS,
        by=tuple(slo.by),
        labels=tuple(sorted({"slo": slo.name, **slo.labels}.items())),
        annotations=_annotations(slo),
        severity=severity,
        min_count=slo.min_count,
        owner=slo.owner,
    )


def _annotations(slo: SloFile) -> tuple[tuple[str, str], ...]:
    where, where_zh = (" on {{ channel }}", "渠道 {{ channel }} 的") if slo.by else ("", "")
    counts = "{{ count }} of {{ total }} orders (limit {{ limit }})"
    english = f"burns {{{{ value }}}} times as fast as it may: {counts}"
    counts_zh = "{{ total }} 单中有 {{ count }} 单不达标（上限 {{ limit }}）"
    chinese = f"的错误预算消耗速度为允许值的 {{{{ value }}}} 倍：{counts_zh}"
    return (
        ("summary", f"The error budget of {slo.name}{where} {english}"),
        ("summary_zh", f"{where_zh}目标 {slo.name} {chinese}"),
    )


def _written(span_ms: int) -> str:
    """Write a window so that it is read back exactly."""
    for unit_ms, unit in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")):
        if span_ms % unit_ms == 0:
            return f"{span_ms // unit_ms}{unit}"
    return f"{span_ms}ms"
