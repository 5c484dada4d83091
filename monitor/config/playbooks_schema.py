"""What a file of playbooks may hold; amounts stay text until the shop's currency is known."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from monitor.config.fields import Duration, StrictModel
from monitor.config.values import one_of
from monitor.model.playbooks import PERSON_QUEUE
from monitor.model.times import DAY_MS, MINUTE_MS, SECOND_MS, parse_duration

LEVELS_MAX = 9
STEPS_MAX = 10
ITEMS_MAX = 10
SPAN_MAX_MS = 30 * DAY_MS
BATCH_MAX = 100_000
WAYS = ("shop_retry", "fallback")
CHOICES = ("alternative", "refund", "wait")
STEPS = ("notify_buyer", "resolve", "coupon", "task", "page", "offer", "refund")

_AT_LEAST = re.compile(r">=? ?(.{1,20})")
_SHARE = re.compile(r"[01](?:\.[0-9]{1,6})?")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?) ?%")
_ONCE = re.compile(r"buyer ?/ ?(.{1,20})")
_QUIET = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]) ?- ?([01][0-9]|2[0-3]):([0-5][0-9])")
_ZONES = (" buyer tz", " shop tz")
_ALIASES = {"alternative_sku": "alternative"}


def _wait(span_ms: int) -> int:
    if not MINUTE_MS <= span_ms <= SPAN_MAX_MS:
        raise ValueError("must be a duration between 1m and 30d")
    return span_ms


Wait = Annotated[Duration, AfterValidator(_wait)]


def _age(value: object) -> object:
    match = _AT_LEAST.fullmatch(value) if isinstance(value, str) else None
    try:
        age_ms = parse_duration(match[1]) if match else 0
    except ValueError:
        age_ms = 0
    if not SECOND_MS <= age_ms <= SPAN_MAX_MS:
        raise ValueError('must be an age such as ">=5m", at most 30d')
    return age_ms


def _share(value: object) -> object:
    match = _AT_LEAST.fullmatch(value) if isinstance(value, str) else None
    if match is None or not _SHARE.fullmatch(match[1]) or not 0 < float(match[1]) <= 1:
        raise ValueError('must be a probability such as ">=0.6"')
    return float(match[1])


def _tier(value: object) -> object:
    if value not in ("L1", "L2", "L3"):
        raise ValueError("must be L1, L2 or L3")
    return int(str(value)[1])


def percent_ppm(text: str) -> int | None:
    """Read `3%` as millionths; None if it is no percentage of at most 100."""
    match = _PERCENT.fullmatch(text)
    ppm = round(float(match[1]) * 10_000) if match else 0
    return ppm if 0 < ppm <= 1_000_000 else None


def _once(value: object) -> object:
    match = _ONCE.fullmatch(value) if isinstance(value, str) else None
    try:
        span_ms = parse_duration(match[1]) if match else 0
    except ValueError:
        span_ms = 0
    if not 0 < span_ms <= 365 * DAY_MS:
        raise ValueError("must be buyer/ and a duration such as buyer/30d, at most 365d")
    return span_ms


def _quiet(value: object) -> object:
    text = value if isinstance(value, str) else ""
    for zone in _ZONES:  # of buyers no zone is known: the shop's stands for theirs
        text = text.removesuffix(zone)
    match = _QUIET.fullmatch(text)
    if match is None:
        raise ValueError('must be hours such as "23:00-08:00"')
    start, end = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
    if start == end:
        raise ValueError("must not be empty")
    return start, end


def _choice(value: object) -> object:
    return _ALIASES.get(value, value) if isinstance(value, str) else value


Name = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
]
Written = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Choice = Annotated[str, BeforeValidator(_choice), one_of(*CHOICES)]
Hours = Annotated[tuple[int, int], BeforeValidator(_quiet)]  # minutes of the day
OnFailure = Literal["escalate", "skip"]


class WhenFile(StrictModel):
    """The level begins when any of these holds."""

    tier: Annotated[int, BeforeValidator(_tier)] | None = None
    age: Annotated[int, BeforeValidator(_age)] | None = None
    predicted_late: Annotated[float, BeforeValidator(_share)] | None = None
    state: Literal["paid_undelivered"] = "paid_undelivered"

    @model_validator(mode="after")
    def _says_when(self) -> WhenFile:
        if self.tier is None and self.age is None and self.predicted_late is None:
            raise ValueError("needs tier, age or predicted_late")
        return self


class NotifyFile(StrictModel):
    """`notify_buyer`."""

    template: Name
    channels: Annotated[list[Name], Field(max_length=ITEMS_MAX)] = Field(default=[])


class ResolveFile(StrictModel):
    """`resolve`."""

    order: Annotated[list[Annotated[str, one_of(*WAYS)]], Field(min_length=1, max_length=ITEMS_MAX)]


class CouponFile(StrictModel):
    """`coupon`."""

    value: Written
    max: Written | None = None
    once_per: Annotated[int, BeforeValidator(_once)] | None = None


class TaskFile(StrictModel):
    """`task`."""

    queue: Name = PERSON_QUEUE
    sla: Wait | None = None


class PageFile(StrictModel):
    """`page`."""

    policy: Name = "oncall"


class OfferFile(StrictModel):
    """`offer`."""

    choices: Annotated[list[Choice], Field(min_length=1, max_length=len(CHOICES))]
    expires: Wait
    default: Choice

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> OfferFile:
        if self.default not in self.choices:
            raise ValueError(f"needs a default among its choices {', '.join(self.choices)}")
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("names a choice twice")
        return self


class RefundFile(StrictModel):
    """`refund`; nothing to say of it."""


class StepFile(StrictModel):
    """One step: a mapping of its kind to what it needs."""

    notify_buyer: NotifyFile | None = None
    resolve: ResolveFile | None = None
    coupon: CouponFile | None = None
    task: TaskFile | None = None
    page: PageFile | None = None
    offer: OfferFile | None = None
    refund: RefundFile | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, value: Any) -> Any:
        if isinstance(value, str) and value in ("task", "page", "refund"):
            return {value: {}}
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise ValueError(f"must be one step: {', '.join(STEPS)}")
        return {key: {} if item is None else item for key, item in value.items()}


class BudgetFile(StrictModel):
    """Most that is given a day."""

    coupon: Written | None = None
    fallback_cost: Written | None = None


class RequireFile(StrictModel):
    """What must be there before money leaves."""

    approval: Written


class PlaybookFile(StrictModel):
    """One level."""

    id: Name
    level: Annotated[int, Field(ge=1, le=LEVELS_MAX)] | None = None
    when: WhenFile
    do: Annotated[list[StepFile], Field(min_length=1, max_length=STEPS_MAX)]
    budget: BudgetFile = BudgetFile()
    require: RequireFile | None = None
    exclusive: Literal["resolution"] = "resolution"
    on_failure: OnFailure | None = None
    quiet_hours: Hours | None = None
    dry_run: bool | None = None


class DefaultsFile(StrictModel):
    """What holds for every level that does not say otherwise."""

    on_failure: OnFailure = "escalate"
    max_runs_per_order: Literal[1] = 1
    quiet_hours: Hours | None = None
    vip_multiplier: Annotated[float, Field(gt=0, le=1)] = 1.0
    dry_run: bool = True
    batch_above: Annotated[int, Field(ge=1, le=BATCH_MAX)] = 20


class PlaybooksFile(StrictModel):
    """A whole file."""

    version: Literal[1]
    playbooks: Annotated[list[PlaybookFile], Field(max_length=LEVELS_MAX)]
    defaults: DefaultsFile = DefaultsFile()
