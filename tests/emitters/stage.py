"""Emitters as processes, the real service, and peers that do not answer as it does."""

from __future__ import annotations

import atexit
import functools
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.serving import ROOT, Served, serve

HERE = Path(__file__).resolve().parent
COMMANDS = {
    "php": ["php", "drive.php"],
    "node": ["node", "drive.js"],
    "python": [sys.executable, "drive.py"],
    "java": ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", "CLASSES", "Drive"],
}
FILES = {
    "php": ROOT / "examples" / "emitters" / "delivery_monitor.php",
    "node": ROOT / "examples" / "emitters" / "delivery_monitor.js",
    "python": ROOT / "examples" / "emitters" / "delivery_monitor.py",
    "java": ROOT / "examples" / "emitters" / "DeliveryMonitor.java",
}
KEY = "dm_emitter_" + "k" * 32
SECRET = "whsec_" + "c2VjcmV0" * 4
CONFIG = """\
sources:
  - {name: keyed, api_key_file: keyed.key}
  - {name: signed, secret_file: signed.secret}
"""
CARD = "CARD-TEXT-4f1c"
"""What must never leave the shop."""


@functools.cache
def command_of(language: str) -> list[str]:
    """What starts an emitter; that of Java is compiled first, once."""
    if language != "java":
        return COMMANDS[language]
    classes = tempfile.mkdtemp(prefix="emitter-classes-")
    atexit.register(shutil.rmtree, classes)
    sources = [str(FILES[language]), str(HERE / "Drive.java")]
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", classes, *sources], check=True)
    return [classes if word == "CLASSES" else word for word in COMMANDS[language]]


class Emitter:
    """A running process of one language."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, verb: str, *given: object) -> None:
        """Have something done without waiting for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([verb, given]) + "\n")
        self.process.stdin.flush()

    def do(self, verb: str, *given: object) -> Any:
        """What a step came to; it fails the test when the emitter has thrown."""
        self.say(verb, *given)
        return self.heard()

    def heard(self) -> Any:
        """What the oldest step came to that was not asked about."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the emitter has ended"
        return json.loads(line)

    def emit(self, order: str, kind: str = "order.paid", **fields: object) -> Any:
        """Tell of an order."""
        return self.do("emit", kind, order, fields)

    def emptied(self) -> bool:
        """Flush until nothing is left; what is under way has its own time to end."""
        return any(self.do("flush") for _ in range(50))

    def end(self) -> str:
        """Let it go to its end; what it complained about."""
        _, complaints = self.process.communicate(timeout=30)
        return complaints

    def kill(self) -> None:
        """End it as a machine does that loses its power."""
        self.process.kill()
        self.process.wait(timeout=30)


class Shop:
    """A folder with a spool, and emitters that share it."""

    def __init__(self, language: str, folder: Path, url: str, **settings: object) -> None:
        self.language, self.folder = language, folder
        self.spool = folder / "events.ndjson"
        self.settings = {"url": url, "spool": str(self.spool), "key": KEY} | settings

    @contextmanager
    def emitter(self, **settings: object) -> Iterator[Emitter]:
        """One process; its standard error is a failure."""
        process = subprocess.Popen(
            command_of(self.language),
            cwd=HERE,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        one = Emitter(process)
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(self.settings | settings) + "\n")
            process.stdin.flush()
            yield one
            if process.returncode is None:
                assert one.end() == ""
        finally:
            process.kill()
            process.communicate()

    def kept(self) -> list[str]:
        """Lines that wait to be sent, wherever they are."""
        places = [self.spool, *sorted(self.folder.glob("events.ndjson.*.sending"))]
        texts = [place.read_text(encoding="utf-8") for place in places if place.exists()]
        return [line for text in texts for line in text.split("\n") if line]

    def rejected(self) -> list[str]:
        """Lines that the service refused."""
        place = self.folder / "events.ndjson.rejected"
        return place.read_text(encoding="utf-8").splitlines() if place.exists() else []

    def written(self) -> bytes:
        """Every byte that the emitter has put into a file."""
        return b"".join(path.read_bytes() for path in self.folder.iterdir())


class Service:
    """The real service with two sources, and what it knows."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.url = served.url
        token = (folder / "data" / "admin.token").read_text(encoding="ascii").strip()
        self._headers = {"Authorization": f"Bearer {token}"}

    def facts(self, order: str) -> list[dict[str, Any]]:
        """The events that the service has of an order."""
        _, body = self._ask("GET", f"/v1/orders/{quote(order, safe='')}", b"", self._headers)
        timeline: list[dict[str, Any]] = body.get("timeline", [])
        return timeline

    def post(self, lines: bytes) -> int:
        """Send what an emitter sends; the status of the answer."""
        headers = {"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {KEY}"}
        return self._ask("POST", "/v1/events", lines, headers)[0]

    def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=20)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.status, json.loads(answer.read())
        connection.close()
        return said

    def kinds(self, *orders: str) -> list[list[str]]:
        """The types of these events, by order."""
        return [[one["type"] for one in self.facts(order)] for order in orders]


@contextmanager
def service(folder: Path) -> Iterator[Service]:
    """A service that is gone afterwards."""
    (folder / "monitor.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "keyed.key").write_text(KEY, encoding="ascii")
    (folder / "signed.secret").write_text(SECRET, encoding="ascii")
    for path in folder.iterdir():
        path.chmod(0o600)
    with serve(folder, "--config", "monitor.yaml") as served:
        yield Service(served, folder)


class Peer:
    """A socket that takes connections and does with each what `answer` says; counts what came."""

    def __init__(self, answer: Callable[[socket.socket, bytes], None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.bodies: list[bytes] = []
        self.left = 0  # connections that the emitter ended
        self.changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that comes with a connection."""
        with self.changed:
            assert self.changed.wait_for(is_so, timeout=30)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            body = _body(connection)
            with self.changed:
                self.bodies.append(body)
                self.changed.notify_all()
            self._answer(connection, body)
            try:
                while connection.recv(4_096):
                    pass
            except OSError:
                pass  # it was reset: the emitter has left as well
            with self.changed:
                self.left += 1
                self.changed.notify_all()


def _body(connection: socket.socket) -> bytes:
    """The body of a request that has a length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _part(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    (length,) = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < length:
        body += _part(connection)
    return body


def _part(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    assert part, "the request broke off"
    return part


def silent(_connection: socket.socket, _body: bytes) -> None:
    """Take a request and never answer."""


def saying(answer: str) -> Callable[[socket.socket, bytes], None]:
    """Answer everything with these words."""

    def say(connection: socket.socket, _body: bytes) -> None:
        connection.sendall(answer.encode())
        connection.shutdown(socket.SHUT_WR)

    return say


@contextmanager
def peer(answer: Callable[[socket.socket, bytes], None]) -> Iterator[Peer]:
    """A peer that is gone afterwards."""
    one = Peer(answer)
    try:
        yield one
    finally:
        one.close()


def refused() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def needs(language: str) -> None:
    """Skip where the language is not installed."""
    programs = [COMMANDS[language][0], *(["javac"] if language == "java" else [])]
    if any(shutil.which(program) is None for program in programs):
        pytest.skip(f"{language} is not installed")
