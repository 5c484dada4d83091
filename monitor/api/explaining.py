"""Why a rule fires or does not, as it stands now."""

from __future__ import annotations

from aiohttp import web

from monitor.api.edge import EDGE
from monitor.api.json_body import answer
from monitor.api.query import TEXT_MAX, instant, wrong
from monitor.core.views.explanation import explain_rule
from monitor.model.errors import InputError
from monitor.model.times import MINUTE_MS, SECOND_MS

LABELS_MAX = 10
NOW_MS = 5 * SECOND_MS  # how far back `at` still means the state in memory
AHEAD_MS = MINUTE_MS  # how far the caller's clock may run before ours


async def get_explanation(request: web.Request) -> web.StreamResponse:
    """Explain a rule for all its instances, or those with the labels asked for.

    The state of now is what memory holds; a past `at` needs the events of then.

    Raises: NotFoundError for a rule nobody loaded, InputError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    labels = _labels(request)
    at_ms = instant(request, "at")
    name = request.match_info["rule"]
    if at_ms is not None and at_ms > now_ms + AHEAD_MS:
        raise wrong("at", "is in the future")
    if at_ms is not None and at_ms < now_ms - NOW_MS:
        raise InputError(
            "at is past, and only the state of now is in memory",
            code="past",
            hint=f"play the events of then: rules explain {name[:100]} --at T --events F",
            pointer="/query/at",
        )
    return answer(explain_rule(engine, name, now_ms, labels))


def _labels(request: web.Request) -> dict[str, str]:
    """The `label=name=value` parameters."""
    given = request.query.getall("label", [])
    if len(given) > LABELS_MAX:
        raise wrong("label", f"may be given {LABELS_MAX} times at most")
    labels = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not name or not separator or len(text) > TEXT_MAX:
            raise wrong("label", "must be written label=channel=auto")
        labels[name] = value
    return labels
