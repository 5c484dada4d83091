"""A person's hand on one channel: drain it, lock it against automatic changes, unlock it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from monitor.api.audit import entry
from monitor.api.decisions import decision_view
from monitor.api.edge import CALLER, EDGE
from monitor.api.fleet import known_channel
from monitor.api.json_body import answer, read_json
from monitor.api.routing import Reason, said
from monitor.core.engine import Engine
from monitor.core.views import channels
from monitor.model.errors import InputError
from monitor.model.records import ChannelSteered

_MARKS = {
    "drain": {"drained": True},
    "lock": {"locked": True},
    "unlock": {"locked": False, "drained": False},
}


class SteerRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of all three; it may be empty."""

    reason: Reason = ""


async def post_drain(request: web.Request) -> web.StreamResponse:
    """Take a channel out of the route: its share moves to the best other one."""
    return await _steer(request, "drain")


async def post_lock(request: web.Request) -> web.StreamResponse:
    """Keep automatic switches away from a channel."""
    return await _steer(request, "lock")


async def post_unlock(request: web.Request) -> web.StreamResponse:
    """Take a lock or a drain back; the route stays as it is until the next switch."""
    return await _steer(request, "unlock")


async def _steer(request: web.Request, action: str) -> web.StreamResponse:
    """Carry it out and answer with the channel, and the switch that it led to.

    Raises: NotFoundError, InputError `conflict`, CapacityError, StorageError.
    """
    edge = request.app[EDGE]
    engine, now_ms = edge.service.rebuilt(), edge.clock.now_ms()
    name = known_channel(engine, request.match_info["name"])
    asked = await read_json(request, SteerRequest)
    if action == "drain":
        _check_others(engine, name, now_ms)
    mark = edge.decisions.mark()
    steered = ChannelSteered(name, action, request[CALLER].name, now_ms, said(asked.reason))
    before = {"locked": name in engine.route.locked, "drained": name in engine.route.drained}
    after = before | _MARKS[action]
    audit = entry(request, target=name, before=before, after=after, reason=steered.reason)
    await edge.service.instruct(steered, audit)
    made = [one for one in edge.decisions.since(mark) if one.mode == "manual"]
    views = channels.channels(engine, now_ms)
    return answer(
        {
            "channel": next(view for view in views if view.name == name),
            "switch": decision_view(made[-1]) if made else None,
        }
    )


def _check_others(engine: Engine, name: str, now_ms: int) -> None:
    """Refuse to drain the only channel: marked as drained it would go on getting every order."""
    speeds = engine.control.speeds(engine.view(now_ms))
    controller = engine.control.controller
    if controller.weights(list(speeds)).get(name) and controller.without(name, speeds) is None:
        raise InputError(
            "no other channel could take its orders: never to nothing",
            code="conflict",
            hint="configure another channel, or unlock one",
        )
