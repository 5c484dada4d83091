"""A real `serve` process with its own data directory on a free port; its log is the clock of tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("DELIVERY_MONITOR_")
} | {"PYTHONPATH": str(ROOT)}


def run(folder: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a verb to its end in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


class Served:
    """The process, its address, and what it logged so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self.until("listening")["url"]

    def until(self, event: str) -> dict[str, Any]:
        """Read the log up to an event; waits for it."""
        assert self.process.stderr is not None
        seen = ""
        for line in self.process.stderr:
            seen += line
            fields: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if fields.get("event") == event:
                return fields
        raise AssertionError(f"ended without {event}: {seen}")

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.status, answer.read().decode()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Status of a POST."""
        request = urllib.request.Request(self.url + path, body, dict(headers), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to stop, as a service manager does; returns its exit code."""
        self.signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode


@contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[Served]:
    """Start the service in a folder; it is gone afterwards, whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "serve", "--listen", "127.0.0.1:0", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        served = Served(process)
        served.until("ready")
        yield served
    finally:
        process.kill()
        process.communicate()
