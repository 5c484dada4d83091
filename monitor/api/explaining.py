"""Why a rule fires or does not, or did at a time in the past."""

from __future__ import annotations

from aiohttp import web

from monitor.api.edge import EDGE
from monitor.api.json_body import answer
from monitor.api.query import TEXT_MAX, instant, wrong
from monitor.core.views.explanation import explain_recorded, explain_rule
from monitor.model.errors import InputError
from monitor.model.times import MINUTE_MS, SECOND_MS

LABELS_MAX = 10
NOW_MS = SECOND_MS  # how far back `at` still means the state in memory
AHEAD_MS = MINUTE_MS  # how far the caller's clock may run before ours


async def get_explanation(request: web.Request) -> web.StreamResponse:
    """Explain a rule for all its instances, or those with the labels asked for.

    Now it is judged from memory; for a past `at` the log tells how its alerts had moved by then,
    each with the evaluation it was made with.

    Raises: NotFoundError for a rule nobody loaded, InputError, CapacityError, StorageError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    labels = _labels(request)
    at_ms = instant(request, "at")
    name = request.match_info["rule"]
    rule = engine.control.rule(name)
    if at_ms is not None and at_ms > now_ms + AHEAD_MS:
        raise wrong("at", "is in the future")
    if rule is None or at_ms is None or at_ms >= now_ms - NOW_MS:
        return answer(explain_rule(engine, name, now_ms, labels))
    moves = await edge.service.alert_moves(name, at_ms)
    if moves is None:
        raise InputError(
            "at is before the log begins",
            code="past",
            hint=f"play the events of then: rules explain {name[:100]} --at T --events F",
        )
    settings = engine.settings
    has_receiver = bool(settings.receivers) and settings.default_receiver is not None
    return answer(explain_recorded(rule, moves, at_ms, labels, has_receiver=has_receiver))


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
