"""Signed messages and entries of the audit in a whole runtime: as durable as what they speak of."""

import asyncio

import msgspec
import pytest

from monitor.model.errors import InputError, StorageError
from monitor.model.notes import Audited, MessageTaken
from monitor.model.records import ChannelSteered
from monitor.runtime.messages import Messages
from monitor.runtime.notes import Notes
from monitor.sim.virtual_loop import run_virtual
from tests.unit.runtime.service import REFUSED, Service, event, now_ms


def message(name: str = "m1", digest: str = "0" * 16) -> MessageTaken:
    return MessageTaken("shop", name, digest, now_ms(), now_ms())


def audit(name: str) -> Audited:
    return Audited(name, now_ms(), "admin", "operate", "channel.lock")


async def send(service: Service, taken: MessageTaken, *orders: str) -> tuple[str, ...]:
    entries = [msgspec.structs.replace(event(one), is_unique=True) for one in orders]
    return await service.loop.submit(entries, message=taken)


async def audited(service: Service) -> list[bytes]:
    return [one.body for one in await service.store.audits(None, 100)]


def test_repeated_message_is_all_duplicates_and_leaves_the_log_alone() -> None:
    """Also events that nothing else would recognise; also at the same time."""

    async def story() -> None:
        service = await Service().start()
        both = await asyncio.gather(*(send(service, message(), "a", "b") for _ in range(3)))
        assert sorted(both) == [("accepted", "accepted")] + [("duplicate", "duplicate")] * 2
        before, written = service.engine.engine_hash(), len(await service.log())
        assert await send(service, message(), "c") == ("duplicate",)
        assert (service.engine.engine_hash(), len(await service.log())) == (before, written)
        with pytest.raises(InputError, match="another body"):
            await send(service, message(digest="1" * 16), "c")
        assert await send(service, message("m2"), "c") == ("accepted",)
        await service.stop()

    run_virtual(story())


@pytest.mark.parametrize("wait_s", [0, 0.5, 5, 70])
def test_message_is_known_after_a_crash_at_any_time(wait_s: float) -> None:
    """Before and after the commit that moves it into a page, and after a second crash."""

    async def story() -> None:
        service = await Service().start()
        taken = message()
        await send(service, taken, "a")
        await asyncio.sleep(wait_s)
        for _ in range(2):
            service = await (await service.crash()).start()
            assert await send(service, taken, "a") == ("duplicate",)
        await service.stop()

    run_virtual(story())


def test_message_that_was_not_written_is_not_known() -> None:
    """The sender was told to try again, so trying again has to work."""

    async def story() -> None:
        service = await Service().start()
        service.store.fail_next(REFUSED)
        with pytest.raises(StorageError):
            await send(service, message(), "a")
        assert await send(service, message(), "a") == ("accepted",)
        await service.stop()

    run_virtual(story())


@pytest.mark.parametrize("wait_s", [0, 0.5, 70])
def test_entry_of_the_audit_is_there_after_a_crash_exactly_with_its_order(wait_s: float) -> None:
    """One segment holds both; a restart brings the entry to its table once."""

    async def story() -> None:
        service = await Service().start()
        lock = ChannelSteered("auto", "lock", "admin", now_ms())
        await service.loop.submit((lock,), audit=audit("a1"))
        service.store.fail_next(REFUSED)
        with pytest.raises(StorageError):
            await service.loop.submit((lock,), audit=audit("never"))
        await service.loop.submit((), audit=audit("a2"))
        await asyncio.sleep(wait_s)
        for _ in range(2):
            service = await (await service.crash()).start()
            await asyncio.sleep(2)
            found = await audited(service)
            assert [b'"a2"' in found[0], b'"a1"' in found[1], len(found)] == [True, True, 2]
            assert "auto" in service.engine.route.locked
        await service.stop()

    run_virtual(story())


def test_entries_of_a_process_that_died_before_deciding_reach_their_table() -> None:
    """The log behind the cursor has them and nothing else."""

    async def story() -> None:
        service = await Service().start()
        service.store.committing = REFUSED
        await service.loop.submit((), audit=audit("a1"))
        assert await audited(service) == []
        revived = await (await service.crash()).start()
        await asyncio.sleep(2)
        assert len(await audited(revived)) == 1
        await revived.stop()

    run_virtual(story())


def test_note_is_handed_to_one_commit() -> None:
    """What a commit has taken does not wait any longer."""

    async def story() -> None:
        notes = Notes(Messages())
        notes.take((message(), audit("a1")))
        waiting = [notes.has_audits]
        audits, page = notes.drain(now_ms())
        assert ([one.audit_id for one in audits], page is not None) == (["a1"], True)
        waiting.append(notes.has_audits)
        assert waiting == [True, False]
        assert notes.drain(now_ms()) == ((), None)

    run_virtual(story())
