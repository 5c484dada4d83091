"""Metrics and reload over HTTP."""

from monitor.model.errors import ConfigError, Problem
from tests.unit.api.serving import ask, serving


async def test_metrics_are_text_also_before_the_state_is_rebuilt() -> None:
    """In the classic exposition format, with its version."""
    async with serving() as server:
        for is_ready in (True, False):
            server.service.is_ready = is_ready
            found = await ask(server, "/metrics", token=None)
            assert (found.status, found.body) == (200, server.service.metrics())
            assert found.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert (await ask(server, "/metrics", method="HEAD")).status == 200


async def test_reload_tells_what_changed_and_what_needs_a_restart() -> None:
    """A body is not needed."""
    async with serving() as server:
        found = await ask(server, "/-/reload", method="POST")
        assert (found.status, found.body) == (
            200,
            {"changed": ["promise"], "needs_restart": ["listen"]},
        )
        assert (await ask(server, "/-/reload")).status == 405


async def test_reload_of_a_bad_file_lists_every_problem() -> None:
    """Each at its line, as `check` would print it."""
    problems = [
        Problem("monitor.yaml", 3, 1, "unknown key 'promis'", "did you mean 'promise'?"),
        Problem("rules/eu.yaml", 14, 9, "unknown signal"),
    ]
    async with serving() as server:
        server.service.trouble = ConfigError(problems)
        found = await ask(server, "/-/reload", method="POST")
        assert (found.status, found.body["code"]) == (400, "bad_config")
        assert [one["message"] for one in found.body["errors"]] == [
            "monitor.yaml:3:1 unknown key 'promis'; did you mean 'promise'?",
            "rules/eu.yaml:14:9 unknown signal",
        ]
