"""Log lines: JSON for machines, one line for people, no secret in either."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from monitor.adapters.telemetry.logs import TEXT_LEN_MAX, configure, fields
from monitor.model.secret import Secret

log = logging.getLogger("monitor.runtime")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("monitor")
    before = (root.level, ours.level, list(root.handlers))
    yield
    root.setLevel(before[0])
    ours.setLevel(before[1])
    root.handlers[:] = before[2]


def test_pipe_gets_one_json_object_per_line() -> None:
    """Event name, level, logger and fields come out as JSON that any reader takes."""
    stream = io.StringIO()
    configure("INFO", stream)
    log.info("listening", extra=fields(host="127.0.0.1", port=8080, channels=["自动", "pool"]))
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "monitor.runtime",
        "event": "listening",
        "host": "127.0.0.1",
        "port": 8080,
        "channels": ["自动", "pool"],
    }
    assert stream.getvalue().count("\n") == 1


def test_terminal_gets_a_readable_line() -> None:
    """A person sees time, level, part, event and fields, values with spaces quoted."""
    stream = Terminal()
    configure("INFO", stream)
    log.warning("slow_disk", extra=fields(commit_ms=12, path="/my data"))
    assert stream.getvalue()[8:] == ' WARNING runtime: slow_disk commit_ms=12 path="/my data"\n'


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_secret_is_never_printed(stream: io.StringIO) -> None:
    """A secret shows as *** as a field, nested in a field, and as a message argument."""
    configure("INFO", stream)
    secret = Secret("hunter2")
    log.info("got %s", secret, extra=fields(key=secret, request={"headers": [secret]}))
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") == 3


def test_field_named_like_ours_is_kept_beside() -> None:
    """A field called level does not overwrite the level."""
    stream = io.StringIO()
    configure("INFO", stream)
    log.info("tier", extra=fields(level=3, event="x"))
    line = json.loads(stream.getvalue())
    assert (line["level"], line["level_"], line["event"], line["event_"]) == (
        "info",
        3,
        "tier",
        "x",
    )


def test_outside_text_cannot_forge_a_line() -> None:
    """Line feeds and escape sequences in a value are shown, not obeyed."""
    stream = Terminal()
    configure("INFO", stream)
    log.info("odd", extra=fields(order_id="A\n00:00:00 INFO fake", sku="\x1b[2J\u2028"))
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
    assert "\\x1b[2J\\u2028" in stream.getvalue()


def test_odd_values_are_written_all_the_same() -> None:
    """Lone surrogates, long texts and unknown types still give one valid line."""
    stream = io.StringIO()
    configure("INFO", stream)
    log.info("odd", extra=fields(text="\ud800", kind=object, long="x" * 10_000, nan=float("nan")))
    line = json.loads(stream.getvalue())
    assert line["text"] == "\ud800"
    assert line["kind"] == "<class 'object'>"
    assert len(line["long"]) == TEXT_LEN_MAX + 1


def test_level_silences_ours_and_others_speak_from_warning_on() -> None:
    """The level is for our loggers; a chatty library is heard only when something is wrong."""
    stream = io.StringIO()
    configure("error", stream)
    log.warning("hidden")
    logging.getLogger("aiohttp.access").info("hidden too")
    logging.getLogger("aiohttp.server").warning("shown")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["shown"]


def test_unknown_level_is_refused() -> None:
    """A typing error names the levels there are."""
    with pytest.raises(ValueError, match="DEBUG, INFO"):
        configure("loud")


def test_configured_twice_writes_once() -> None:
    """A second set-up replaces the first."""
    first, second = io.StringIO(), io.StringIO()
    configure("INFO", first)
    configure("INFO", second)
    log.info("once")
    assert (first.getvalue(), second.getvalue().count("once")) == ("", 1)


def test_closed_pipe_is_survived(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader that went away costs the line, nothing else."""
    configure("INFO", ClosedPipe())
    log.info("into the void")
    assert capsys.readouterr() == ("", "")


def test_exception_is_one_json_field() -> None:
    """A traceback stays inside its line."""
    stream = io.StringIO()
    configure("INFO", stream)
    try:
        int("boom")
    except ValueError:
        log.exception("failed")
    line = json.loads(stream.getvalue())
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("'boom'")
