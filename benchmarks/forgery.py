"""100,000 forged, stale, replayed and cross-source requests against a real service: 0 accepted.

    python -m benchmarks.forgery --record    # two minutes; COUNT and --seed choose others

The service is a process of its own with two sources that sign. Before the storm each sends good
requests; their bytes are what the forger works with. Afterwards the state hash is what it was, no
answer was a 5xx, and both sources are still let in, with the old secret and with the new one. Every
other request goes to the fast listener.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from benchmarks.forged import MAIN, OTHER, Request, World, event, forge, signed
from benchmarks.promises import record
from monitor.model.keys import ApiKey, token_sha256
from monitor.model.secret import Secret
from monitor.runtime.keys_file import change_keys

Ports = tuple[int, int]
"""The main listener and the fast one."""

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = 8
WAIT_S = 20.0
CONFIG = """\
listen: 127.0.0.1:0
listen_fast: 127.0.0.1:0
data_dir: data
sources:
  - {name: main-shop, secret_file: [main.new, main.old]}
  - {name: other-shop, secret_file: other.secret}
"""


class Storm(msgspec.Struct, frozen=True):
    """What became of the bad requests: how many were taken, by kind; how many answers were 5xx."""

    sent: int
    accepted: dict[str, int]
    server_errors: dict[str, int]
    statuses: dict[str, dict[int, int]]
    is_state_unchanged: bool
    refused_good: int
    tracebacks: int
    seconds: float

    @property
    def violations(self) -> int:
        """What must be 0."""
        wrong = sum(self.accepted.values()) + sum(self.server_errors.values())
        return wrong + self.refused_good + self.tracebacks + (not self.is_state_unchanged)


def storm(count: int, seed: int) -> Storm:
    """Start a service, storm it, and look at what it did."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_storm(Path(folder), count, random.Random(seed)))


async def _storm(folder: Path, count: int, chance: random.Random) -> Storm:
    secrets = {
        name: Secret("whsec_" + base64.b64encode(chance.randbytes(32)).decode())
        for name in ("main.new", "main.old", "other.secret")
    }
    world_tokens = _prepare(folder, secrets, chance)
    with _service(folder) as (ports, log):
        admin = (folder / "data/admin.token").read_text(encoding="ascii").strip()
        good = [*_good(secrets, "before")]
        refused = await _send_good(ports, good)
        taken = tuple(good)
        world = World(taken, secrets["other.secret"], *world_tokens)
        before = await _state_hash(ports[0], admin)
        began_s = time.monotonic()
        answers = await _send(ports, world, chance, count)
        seconds = time.monotonic() - began_s
        after = await _state_hash(ports[0], admin)
        refused += await _send_good(ports, [*_good(secrets, "after")])
        said = log.read_text(encoding="utf-8")
        return judged(answers, refused, said, seconds, is_state_unchanged=before == after)


def _prepare(
    folder: Path, secrets: dict[str, Secret], chance: random.Random
) -> tuple[tuple[str, ...], str]:
    """Write configuration, secrets and keys; returns tokens that are no longer good, and a good one."""
    (folder / "monitor.yaml").write_text(CONFIG, encoding="utf-8")
    for name, secret in secrets.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(secret.reveal(), encoding="ascii")
    tokens = [f"dm_{chance.randbytes(32).hex()}" for _ in range(3)]
    ends: tuple[tuple[int | None, int | None], ...] = ((None, 1), (1, None), (None, None))
    keys = tuple(
        ApiKey(f"key_{number}", f"k{number}", token_sha256(token), token[-4:], ("ingest",), 1, "me",
               OTHER, *end)
        for number, (token, end) in enumerate(zip(tokens, ends, strict=True))
    )  # fmt: skip
    change_keys(folder / "data", lambda _: keys)
    return tuple(tokens[:2]), tokens[2]


@contextmanager
def _service(folder: Path) -> Iterator[tuple[Ports, Path]]:
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor", "serve", "--config", "monitor.yaml"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
        )
    try:
        yield _ports(process, log), log
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _ports(process: subprocess.Popen[bytes], log: Path) -> Ports:
    """Wait until the service is ready."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        events = {line.get("event"): line for line in lines}
        if "ready" in events:
            names = ("listening", "listening_fast")
            main, fast = (int(events[name]["url"].rpartition(":")[2]) for name in names)
            return main, fast
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start: {log.read_text()[-2000:]}")


def _good(secrets: dict[str, Secret], when: str) -> Iterator[Request]:
    """Requests that must be taken: new and old secret, one event and several, with and without id."""
    now_ms = time.time_ns() // 1_000_000
    for number in range(12):
        secret, source = (("main.new", MAIN), ("main.old", MAIN), ("other.secret", OTHER))[
            number % 3
        ]
        body = event(f"G{when}{number}", **({"id": f"{when}{number}"} if number % 2 else {}))
        if number % 4 == 0:
            body = b"[" + body + b',{"type":"source.heartbeat"}]'
        yield signed(secrets[secret], f"{when}{number}", now_ms, body, source)


async def _send_good(ports: Ports, requests: list[Request]) -> int:
    """Send good requests; returns how many were not taken."""
    lines = [_Line(port) for port in ports]
    answers = [await lines[at % 2].ask(request) for at, request in enumerate(requests)]
    for line in lines:
        line.close()
    return sum(answer.status != 202 or answer.accepted == 0 for answer in answers)


async def _send(
    ports: Ports, world: World, chance: random.Random, count: int
) -> list[tuple[Request, Answer]]:
    """Send bad requests over several connections; each is made just before it is sent."""
    numbers = iter(range(count))
    answers: list[tuple[Request, Answer]] = []

    async def sender(port: int) -> None:
        line = _Line(port)
        for number in numbers:
            request = forge(world, chance, number, time.time_ns() // 1_000_000)
            answers.append((request, await line.ask(request)))
        line.close()

    await asyncio.gather(*(sender(ports[at % 2]) for at in range(CONNECTIONS)))
    return answers


async def _state_hash(port: int, admin: str) -> str:
    line = _Line(port)
    answer = await line.get("/v1/state-hash", admin)
    line.close()
    return str(json.loads(answer.body)["state_hash"])


def judged(
    answers: list[tuple[Request, Answer]],
    refused_good: int,
    log: str,
    seconds: float,
    *,
    is_state_unchanged: bool,
) -> Storm:
    """Count what must not have happened."""
    accepted: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    statuses: dict[str, Counter[int]] = {}
    for request, answer in answers:
        statuses.setdefault(request.kind, Counter())[answer.status] += 1
        errors[request.kind] += answer.status >= 500
        is_success = 200 <= answer.status < 300
        accepted[request.kind] += answer.accepted > 0 or (is_success and not request.is_replay)
    return Storm(
        sent=len(answers),
        accepted=dict(+accepted),
        server_errors=dict(+errors),
        statuses={kind: dict(counts) for kind, counts in statuses.items()},
        is_state_unchanged=is_state_unchanged,
        refused_good=refused_good,
        tracebacks=log.count("Traceback"),
        seconds=seconds,
    )


class Answer(msgspec.Struct, frozen=True):
    """Status 0: the connection was closed without one."""

    status: int
    body: bytes = b""

    @property
    def accepted(self) -> int:
        """How many events it says were taken."""
        if self.status != 202:
            return 0
        return int(json.loads(self.body).get("accepted", 0))


class _Line:
    """One kept connection, spoken by hand: a client library would not send such headers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Request) -> Answer:
        headers = {"host": b"127.0.0.1", **request.headers}
        lines = [name.encode() + b": " + value for name, value in headers.items()]
        lines.append(b"content-length: %d" % len(request.body))
        head = b"POST %s HTTP/1.1\r\n" % request.path.encode() + b"\r\n".join(lines)
        return await self._exchange(head + b"\r\n\r\n" + request.body)

    async def get(self, path: str, token: str) -> Answer:
        head = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n"
        return await self._exchange(head.encode())

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def _exchange(self, raw: bytes) -> Answer:
        """Send, and read one answer; whatever comes after it belongs to nobody."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        answer, is_last = Answer(0), True
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            async with asyncio.timeout(WAIT_S):
                writer.write(raw)
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(
                    line.lower().split(b": ", 1)
                    for line in head.split(b"\r\n")[1:]
                    if b": " in line
                )
                body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                answer = Answer(int(head.split(b" ", 2)[1]), body)
                is_last = fields.get(b"connection") == b"close" or answer.status == 400
        if is_last:
            self.close()
        return answer


def main() -> int:
    """Storm, print, and record; 1 if anything was accepted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument(
        "--record", action="store_true", help="keep the figure for docs/promises.md"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    done = storm(options.count, options.seed)
    print(json.dumps(msgspec.to_builtins(done), indent=2))
    print(f"{done.sent} requests in {done.seconds:.0f} s: {done.violations} violations")
    if options.record:
        note = "11 kinds of attack, on both listeners"
        record("P19", tried=done.sent, violations=done.violations, note=note)
    return min(done.violations, 1)


if __name__ == "__main__":
    raise SystemExit(main())
