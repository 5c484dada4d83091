"""What a rule file may hold: the fields of contract §4 and, beside the groups, SLOs and limits."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from monitor.config.fields import Duration, StrictModel
from monitor.config.values import one_of
from monitor.core.rules.false_alarms import parse_false_alarms
from monitor.model.rules import BASELINED
from monitor.model.times import DAY_MS, MINUTE_MS, SECOND_MS, parse_duration, parse_rfc3339

RULES_MAX = 2_000
SLOS_MAX = 50
LEARNED_MAX = 2_000
SPAN_MAX_MS = 30 * DAY_MS
HOURS_OF_DAY = 24
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%")


def _percent(value: object) -> object:
    """Read `98%` or 98 as 0.98; pydantic complains about everything else."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        value = float(match[1])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a percentage such as 98%")  # noqa: TRY004 - collected by pydantic
    return round(value / 100, 12)


def _objective(value: object) -> object:
    share = _percent(value)
    if isinstance(share, float) and not 0.5 <= share <= 0.99999:
        raise ValueError("must be a percentage from 50% to 99.999%")
    return share


def _seconds(value: object) -> object:
    try:
        seconds = parse_duration(value) / SECOND_MS if isinstance(value, str) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= SPAN_MAX_MS / SECOND_MS:
        raise ValueError("must be a duration such as 95.2s, at most 30d")
    return seconds


def _moment(value: object) -> datetime:
    try:
        moment = parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be a time with a zone such as 2026-01-05T10:00:00+08:00")
    return moment


def _false_alarms(value: object) -> object:
    parse_false_alarms(value if isinstance(value, str) else "")
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
SloName = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
Text = Annotated[str, StringConstraints(max_length=2_000)]
Span = Annotated[Duration, Field(ge=0, le=SPAN_MAX_MS)]
BudgetSpan = Annotated[Duration, Field(ge=MINUTE_MS, le=SPAN_MAX_MS)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Texts = Annotated[dict[Name, Text], Field(max_length=20)]
MinCount = Annotated[int, Field(ge=1, le=10_000)]


class ActionFile(StrictModel):
    """One entry of `actions`."""

    type: Literal["failover", "manual_review"]


class RuleFields(StrictModel):
    """What a group may set for all its rules."""

    for_ms: Span = Field(default=0, alias="for")
    keep_firing_for: Span = 0
    by: Annotated[list[Name], Field(max_length=5)] = Field(default=[])
    labels: Texts = Field(default={})
    annotations: Texts = Field(default={})
    severity: Literal["info", "warning", "critical"] = "warning"
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.99
    max_false_alarms: Annotated[str, BeforeValidator(_false_alarms)] | None = None
    min_count: MinCount = 2
    no_data: Literal["keep", "ok", "alert"] = "keep"
    mode: Literal["enforce", "shadow"] = "enforce"
    actions: Annotated[list[ActionFile], Field(max_length=5)] = Field(default=[])
    runbook_url: Text | None = None
    owner: Text | None = None


class RuleFile(RuleFields):
    """One rule as written."""

    alert: Name
    expr: Text
    resolve_when: Text | None = None

    def over(self, defaults: RuleFields) -> RuleFile:
        """This rule with the group's values where it has none; labels and annotations add up."""
        given = defaults.model_fields_set - self.model_fields_set
        if self.model_fields_set & {"confidence", "max_false_alarms"}:
            given -= {"confidence", "max_false_alarms"}
        values = {name: getattr(defaults, name) for name in sorted(given)}
        values["labels"] = {**defaults.labels, **self.labels}
        values["annotations"] = {**defaults.annotations, **self.annotations}
        return self.model_copy(update=values)


class GroupFile(StrictModel):
    """Rules that are evaluated together."""

    name: Name
    interval: Annotated[Duration, Field(ge=SECOND_MS, le=DAY_MS)] = 15 * SECOND_MS
    defaults: RuleFields = RuleFields()
    rules: Annotated[list[RuleFile], Field(max_length=RULES_MAX)]


class SliFile(StrictModel):
    """What counts against the objective."""

    metric: Literal["delayed_ratio", "bad_ratio", "failed_ratio"] = "delayed_ratio"


class BurnFile(StrictModel):
    """One alert of an SLO: both windows burn more than `burn` times too fast."""

    long: BudgetSpan
    short: BudgetSpan
    burn: Annotated[float, Field(gt=0, le=1_000)]

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.short >= self.long:
            raise ValueError("needs a 'short' window that is shorter than 'long'")
        return self


class AlertingFile(StrictModel):
    """The alerts of an SLO: `page` is critical, `ticket` a warning."""

    page: Annotated[list[BurnFile], Field(max_length=5)] = Field(default=[])
    ticket: Annotated[list[BurnFile], Field(max_length=5)] = Field(default=[])


class SloFile(StrictModel):
    """One service level objective."""

    name: SloName
    objective: Annotated[float, BeforeValidator(_objective)]
    window: Annotated[Duration, Field(ge=DAY_MS, le=SPAN_MAX_MS)] = 30 * DAY_MS
    sli: SliFile = SliFile()
    by: Annotated[list[Literal["channel"]], Field(max_length=1)] = Field(default=[])
    min_count: MinCount = 20
    preset: Literal["google-30d"] | None = None
    alerting: AlertingFile | None = None
    labels: Texts = Field(default={})
    owner: Text | None = None


class SpanFile(StrictModel):
    """A time that was left out."""

    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")


Hours = Annotated[list[Seconds], Field(min_length=HOURS_OF_DAY, max_length=HOURS_OF_DAY)]


class WeekFile(StrictModel):
    """A limit for every hour of the week, local time."""

    mon: Hours
    tue: Hours
    wed: Hours
    thu: Hours
    fri: Hours
    sat: Hours
    sun: Hours


class LearnedFile(StrictModel):
    """One limit that `rules learn` proposed."""

    signal: Annotated[str, one_of(*BASELINED)]
    channel: Annotated[str, StringConstraints(max_length=100)] = ""
    method: Literal["quantile", "pot"]
    target: Annotated[float, BeforeValidator(_percent), Field(gt=0, lt=1)] = 0.01
    n: Annotated[int, Field(ge=1)]
    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    excluded: Annotated[list[SpanFile], Field(max_length=200)] = Field(default=[])
    overall: Seconds
    by_hour: WeekFile | None = None

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        spans = [(self.start, self.end), *((span.start, span.end) for span in self.excluded)]
        if any(start >= end for start, end in spans):
            raise ValueError("needs a 'from' that is before its 'to'")
        return self


class RulesFile(StrictModel):
    """A whole file."""

    groups: Annotated[list[GroupFile], Field(max_length=RULES_MAX)] = Field(default=[])
    slos: Annotated[list[SloFile], Field(max_length=SLOS_MAX)] = Field(default=[])
    learned: Annotated[list[LearnedFile], Field(max_length=LEARNED_MAX)] = Field(default=[])
