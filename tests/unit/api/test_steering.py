"""A person's hand on one channel, over HTTP."""

import msgspec
import pytest

from monitor.model.records import ChannelSteered
from monitor.model.settings import ChannelSettings
from tests.unit.api.samples import RECEIVED_MS
from tests.unit.api.serving import SETTINGS, MemoryService, ask, serving


async def test_drain_moves_the_share_to_another_channel() -> None:
    """The answer shows the drained channel and the switch that followed."""
    async with serving() as server:
        found = await ask(server, "/v1/channels/auto/drain", {"reason": "key pool  empty\n"})
        assert found.status == 200
        channel, switch = found.body["channel"], found.body["switch"]
        assert (channel["name"], channel["state"], channel["weight"]) == ("auto", "drained", 0)
        assert channel["drained"] == "key pool empty"
        assert (switch["epoch"], switch["weights"]) == (1, {"auto": 0, "B": 100})
        expected = ChannelSteered("auto", "drain", "admin", RECEIVED_MS, "key pool empty")
        assert server.service.given == [expected]


async def test_drain_of_a_channel_without_share_switches_nothing() -> None:
    """B had nothing to lose; a body is not needed."""
    async with serving() as server:
        found = await ask(server, "/v1/channels/B/drain", method="POST")
        assert (found.status, found.body["switch"]) == (200, None)
        assert found.body["channel"]["drained"] == "admin"


async def test_drain_of_the_only_channel_is_a_conflict() -> None:
    """It would go on getting every order under a sign that says it does not."""
    settings = msgspec.structs.replace(SETTINGS, channels=(ChannelSettings("auto"),))
    async with serving(service=MemoryService(settings)) as server:
        found = await ask(server, "/v1/channels/auto/drain", {})
        assert (found.status, found.body["code"]) == (409, "conflict")
        assert server.service.given == []


async def test_lock_and_unlock_change_no_weight() -> None:
    """A lock is only a word to the automatic; unlock takes back lock and drain."""
    async with serving() as server:
        found = (await ask(server, "/v1/channels/auto/lock", {"reason": "maintenance"})).body
        assert (found["channel"]["locked"], found["channel"]["weight"]) == ("maintenance", 100)
        await ask(server, "/v1/channels/B/drain", {})
        for name in ("auto", "B"):
            found = (await ask(server, f"/v1/channels/{name}/unlock", {})).body
            assert (found["channel"]["locked"], found["channel"]["drained"]) == (None, None)
            assert found["switch"] is None


@pytest.mark.parametrize("action", ["drain", "lock", "unlock"])
async def test_unknown_channel_is_a_404_with_a_suggestion(action: str) -> None:
    """Nothing is steered."""
    async with serving() as server:
        found = await ask(server, f"/v1/channels/autp/{action}", {})
        assert (found.status, found.body["hint"]) == (404, "did you mean 'auto'?")
        assert server.service.given == []


async def test_unknown_field_or_action_is_refused() -> None:
    """A misspelt reason is not lost silently."""
    async with serving() as server:
        found = await ask(server, "/v1/channels/auto/lock", {"resaon": "x"})
        assert (found.status, found.body["hint"]) == (400, "did you mean 'reason'?")
        assert (await ask(server, "/v1/channels/auto/explode", {})).status == 404
