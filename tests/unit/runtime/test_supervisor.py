"""Tasks are born here, and a dead one is noticed."""

import asyncio
import inspect
import logging

import pytest

from monitor.model.errors import StorageError
from monitor.runtime.supervisor import Supervisor
from monitor.sim.virtual_loop import run_virtual


@pytest.mark.parametrize("error", [StorageError("gone"), ZeroDivisionError("a bug")])
def test_task_that_dies_stops_the_service_with_its_reason(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """`failed` is set and the failure kept; a traceback is logged only for what nobody expected."""

    async def story() -> None:
        supervisor = Supervisor()

        async def dies() -> None:
            await asyncio.sleep(1)
            raise error

        supervisor.spawn("mortal", dies())
        await asyncio.wait_for(supervisor.failed.wait(), 5)
        assert supervisor.failure is error

    with caplog.at_level(logging.CRITICAL):
        run_virtual(story())
    (record,) = caplog.records
    assert record.message == "task_failed"
    assert bool(record.exc_info) is isinstance(error, ZeroDivisionError)


def test_stop_ends_everything_and_is_no_failure() -> None:
    """Cancelled is not failed, and a finished task is forgotten."""

    async def story() -> None:
        supervisor = Supervisor()
        ended: list[str] = []

        async def waits() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append("waits")

        async def ends() -> None:
            ended.append("ends")

        supervisor.spawn("waits", waits())
        await supervisor.spawn("ends", ends())
        await supervisor.stop()
        assert ended == ["ends", "waits"]
        assert not supervisor.failed.is_set()

    run_virtual(story())


def test_stop_right_after_a_start_leaves_nothing_behind() -> None:
    """Work that never got its turn is closed, not left to complain when memory is swept."""

    async def story() -> None:
        supervisor = Supervisor()

        async def never() -> None:
            raise AssertionError

        work = never()
        supervisor.spawn("never", work)
        await supervisor.stop()
        assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
        assert not supervisor.failed.is_set()

    run_virtual(story())
