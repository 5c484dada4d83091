"""A write with an `Idempotency-Key` is done once."""

import asyncio

import pytest

from monitor.api.idempotency import Answers
from monitor.model.errors import CapacityError, InputError, StorageError
from monitor.model.times import DAY_MS
from tests.unit.api.serving import KEYS, Answered, MemoryService, Server, ask, serving

TO_B = {"weights": {"B": 100}}
TO_AUTO = {"weights": {"auto": 100}}


async def switch(server: Server, body: object, key: str = "k1") -> Answered:
    """Order a switch with a key."""
    return await ask(server, "/v1/switches", body, headers={"Idempotency-Key": key})


async def test_repeated_write_is_done_once_and_answered_twice() -> None:
    """The second answer is the first one, marked; without a key a repeat is a new epoch."""
    async with serving() as server:
        first, second = await switch(server, TO_B), await switch(server, TO_B)
        assert (first.status, first.body) == (second.status, second.body)
        assert "Idempotent-Replayed" not in first.headers
        assert second.headers["Idempotent-Replayed"] == "true"
        assert len(server.service.given) == 1
        assert (await ask(server, "/v1/switches", TO_B)).body["epoch"] == 2
        assert (await switch(server, TO_B, "k2")).body["epoch"] == 3


async def test_key_of_another_request_is_refused() -> None:
    """Another body or another path under the same key is a mistake of the client."""
    async with serving() as server:
        await switch(server, TO_B)
        found = await switch(server, TO_AUTO)
        assert (found.status, found.body["code"]) == (422, "idempotency_key_reused")
        lock = await ask(server, "/v1/channels/B/lock", {}, headers={"Idempotency-Key": "k1"})
        assert lock.status == 422
        assert len(server.service.given) == 1


async def test_key_is_free_again_after_a_day() -> None:
    """A day is what a client may count on."""
    async with serving() as server:
        await switch(server, TO_B)
        server.service.clock.at_ms += DAY_MS - 1
        assert (await switch(server, TO_B)).body["epoch"] == 1
        server.service.clock.at_ms += 1
        assert (await switch(server, TO_B)).body["epoch"] == 2


async def test_failed_write_may_be_tried_again_with_its_key() -> None:
    """Nothing was done, so the key holds nothing; also after a refusal."""
    async with serving() as server:
        server.service.trouble = StorageError("the disk is full")
        assert (await switch(server, TO_B)).status == 503
        server.service.trouble = None
        assert (await switch(server, {"weights": {}})).status == 400
        assert (await switch(server, TO_B)).body["epoch"] == 1


async def test_second_request_under_way_is_a_conflict() -> None:
    """Two clicks at once do one switch."""
    service = MemoryService()
    started, gate = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        await gate.wait()

    service.before_answer = wait
    async with serving(service=service) as server:
        first = asyncio.ensure_future(switch(server, TO_B))
        await started.wait()
        found = await switch(server, TO_B)
        assert (found.status, found.body["code"]) == (409, "conflict")
        gate.set()
        assert (await first).status == 200
        assert len(service.given) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
async def test_key_that_cannot_be_kept_is_refused(key: str) -> None:
    """Nothing is done under a key we would not recognise again."""
    async with serving() as server:
        found = await switch(server, TO_B, key)
        assert (found.status, found.body["code"]) == (400, "bad_idempotency_key")
        assert server.service.given == []


async def test_repeat_still_needs_the_token() -> None:
    """Knowing the key of an operator gets nobody the answer."""
    async with serving(keys=KEYS) as server:
        await switch(server, TO_B)
        found = await ask(
            server, "/v1/switches", TO_B, token=None, headers={"Idempotency-Key": "k1"}
        )
        assert found.status == 401


def test_two_callers_never_share_a_key() -> None:
    """The same key of somebody else is another write."""
    answers = Answers()
    assert answers.begin(("a", "k"), b"1", 0) is None
    answers.keep(("a", "k"), 200, b"{}")
    assert answers.begin(("b", "k"), b"2", 0) is None


def test_oldest_answer_gives_way_when_memory_is_full() -> None:
    """It is counted; what is under way stays, and when all are there is no room."""
    answers = Answers(answers_max=2)
    answers.begin(("a", "1"), b"x", 0)
    answers.begin(("a", "2"), b"x", 1)
    with pytest.raises(CapacityError):
        answers.begin(("a", "3"), b"x", 2)
    answers.keep(("a", "2"), 200, b"{}")
    assert answers.begin(("a", "3"), b"x", 2) is None
    assert answers.dropped == 1
    with pytest.raises(InputError):
        answers.begin(("a", "1"), b"x", 3)
