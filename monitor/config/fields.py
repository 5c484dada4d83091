"""Field types the configuration and the rule files share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from monitor.model.times import parse_duration

_FORMS = "must be a duration such as 500ms, 60s, 3m, 6h, 30d"


def _duration(value: object) -> int:
    # Everything is a ValueError and the value is never repeated: pydantic collects only that one,
    # and the value may be a secret pasted into the wrong line.
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    if not isinstance(value, str):
        raise ValueError(_FORMS)  # noqa: TRY004 - see above
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(_FORMS) from None


Duration = Annotated[int, BeforeValidator(_duration)]
"""Milliseconds, written `500ms`, `60s`, `3m`, `1h30m`, `30d`; a bare 0 is allowed."""


class StrictModel(BaseModel):
    """Base of every file model: no unknown field, no conversion between types, immutable."""

    # Each part is built with the whole file that it belongs to, not once more by itself.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True
    )
