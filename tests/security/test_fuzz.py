"""Hostile bodies and heads against a real service; a million of them in `make nightly`."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.fuzz import Fuzzer, Outcome, answers, attack, log_findings
from benchmarks.fuzz_cases import SMUGGLING, Case, case
from tests.security.naive import naive_server

COUNT = int(os.environ.get("DELIVERY_MONITOR_FUZZ", "20000"))
TOKENS = ("dm_shop", "dm_admin")


@contextmanager
def fuzzer(seed: int, mistakes: bool) -> Iterator[Fuzzer]:
    with naive_server(answers_twice=mistakes) as port:
        yield Fuzzer((port, 0), TOKENS, seed)


@pytest.mark.slow
def test_no_body_and_no_head_brings_an_error_of_ours(tmp_path: Path) -> None:
    """Only successes and refusals, nothing in the log, the service alive, no hidden request."""
    outcome = attack(tmp_path, range(COUNT), seed=2026)
    assert outcome.found == []
    assert outcome.tried == COUNT
    taken = outcome.statuses[202]
    assert taken > COUNT / 20  # the rest was close to something good
    assert outcome.statuses[400] > COUNT / 5


def test_handler_that_trusts_its_input_is_found_out() -> None:
    """`await request.json()` and nothing else: the planted bug is found within a thousand tries."""
    with fuzzer(seed=1, mistakes=False) as one:
        outcome = one.run(range(1_000))
    assert {finding.what for finding in outcome.found} >= {"status 500"}


def test_second_answer_is_found_out() -> None:
    """A server that answers what is hidden behind a body is noticed, on any connection."""
    with fuzzer(seed=1, mistakes=True) as one:
        outcome = one.run(range(300))
    whats = {finding.what.partition(":")[0] for finding in outcome.found}
    assert {"more than one answer", "smuggled"} <= whats


def test_error_and_traceback_in_the_log_are_found_out() -> None:
    """What is no line of the log, or a line of an error, is a finding; warnings are not."""
    lines = [
        json.dumps({"level": "info", "event": "ready"}),
        json.dumps({"level": "warning", "event": "http_request_malformed"}),
        json.dumps({"level": "error", "event": "http_request_failed"}),
        "Traceback (most recent call last):",
    ]
    assert log_findings("\n".join(lines).encode()) == lines[2:]


def test_same_number_makes_the_same_request() -> None:
    """A finding can be made again from its seed and number alone."""
    assert [case(3, number, TOKENS) for number in range(50)] == [
        case(3, number, TOKENS) for number in range(50)
    ]
    assert case(3, 1, TOKENS) != case(4, 1, TOKENS)


@pytest.mark.parametrize(
    ("raw", "statuses", "rest", "is_last"),
    [
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", [202], b"", False),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{", [], None, False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", [204], b"", False),
        (b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 0\r\n\r\nx", [400], b"x", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2, [200, 200], b"", False),
    ],
)
def test_answers_are_cut_apart(
    raw: bytes, statuses: list[int], rest: bytes | None, is_last: bool
) -> None:
    """Whole answers count, continuations do not, what is left over is kept."""
    found, left, last = answers(raw)
    assert (found, last) == (statuses, is_last)
    assert left == (raw if rest is None else rest)


def test_every_smuggling_head_hides_a_second_request_or_is_no_request() -> None:
    """The corpus is what it says: a second request stands behind a length two parsers read in two ways."""
    assert len(set(SMUGGLING)) == len(SMUGGLING) >= 25
    assert sum(b"/smuggled" in raw for raw in SMUGGLING) >= 24
    assert Case(b"").is_smuggling is False
    assert Outcome().p99_ms() == 0.0
