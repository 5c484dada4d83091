"""Reads labelled incidents: when there was real trouble, for `rules backtest`.

incidents:
  - {from: 2026-01-05T14:00:00+08:00, to: 2026-01-05T15:30:00+08:00, channel: auto}
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from monitor.config.fields import StrictModel
from monitor.config.problems import problems_from
from monitor.config.yaml_lines import read_with_positions
from monitor.model.errors import ConfigError
from monitor.model.times import from_datetime, parse_rfc3339

INCIDENTS_MAX = 10_000

Labelled = tuple[int, int, str | None]


def _moment(value: object) -> datetime:
    try:
        moment = parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be a time with a zone such as 2026-01-05T14:00:00+08:00")
    return moment


Moment = Annotated[datetime, BeforeValidator(_moment)]


class _Incident(StrictModel):
    from_: Moment = Field(alias="from")
    to: Moment
    channel: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    @model_validator(mode="after")
    def _is_forward(self) -> Self:
        if self.to < self.from_:
            raise ValueError("'to' lies before 'from'")
        return self


class _File(StrictModel):
    incidents: Annotated[list[_Incident], Field(max_length=INCIDENTS_MAX)]


def load_incidents(path: Path) -> tuple[Labelled, ...]:
    """Read (from_ms, to_ms, channel), sorted by their beginning.

    Raises: ConfigError with every problem of the file.
    """
    value, positions = read_with_positions(path)
    try:
        file = _File.model_validate(value)
    except ValidationError as error:
        raise ConfigError(problems_from(error, positions, str(path), _File)) from error
    found = [
        (from_datetime(one.from_), from_datetime(one.to), one.channel) for one in file.incidents
    ]
    return tuple(sorted(found, key=lambda one: (one[0], one[1], one[2] or "")))
