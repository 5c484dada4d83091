"""Server processes of the ingest benchmarks: the whole service, and the empty handler."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[1]
KEY = "dm_benchmark-of-the-ingest-door-0123456789"
CONFIG = """\
listen: 127.0.0.1:0
listen_fast: 127.0.0.1:0
data_dir: data
sources: [{name: main-shop, api_key_file: key}]
channels: [{name: auto, kind: external}, {name: supplier, kind: external}]
"""
_NANOSECONDS = re.compile(r"^\d+")


class Cpu(msgspec.Struct, frozen=True):
    """CPU seconds of a process so far: all threads, and its first one (the event loop)."""

    total_s: float
    loop_s: float


class Server(msgspec.Struct, frozen=True):
    """A running process and where it listens; `fast_port` 0: it has no fast listener."""

    pid: int
    port: int
    fast_port: int = 0

    def cpu(self) -> Cpu:
        """CPU time of the process and of its event loop, to the nanosecond (Linux schedstat)."""
        tasks = Path(f"/proc/{self.pid}/task")
        spent = {task.name: _spent_s(task) for task in tasks.iterdir()}
        return Cpu(sum(spent.values()), spent[str(self.pid)])

    def rss_bytes(self) -> int:
        """Memory in use."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def _spent_s(task: Path) -> float:
    found = _NANOSECONDS.match((task / "schedstat").read_text(encoding="ascii"))
    assert found, "schedstat begins with nanoseconds"
    return int(found[0]) / 1e9


@contextmanager
def service(folder: Path, more_config: str = "", config: str = CONFIG) -> Iterator[Server]:
    """`delivery-monitor serve` with one source, its key, and its data in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text(KEY + "\n", encoding="ascii")
    (folder / "key").chmod(0o600)
    (folder / "monitor.yaml").write_text(config + more_config, encoding="utf-8")
    log = folder / "log.ndjson"  # a file: nobody reads a pipe while requests are sent
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor", "serve", "--config", "monitor.yaml"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        ports = _ports_when_ready(process, log)
        yield Server(process.pid, ports["listening"], ports.get("listening_fast", 0))
    finally:
        process.terminate()
        process.wait(timeout=60)


def _ports_when_ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, int]:
    """Wait for the line that says so; returns the ports that the log named, by its event."""
    while process.poll() is None:
        lines = [
            json.loads(line) for line in log.read_bytes().split(b"\n")[:-1] if line[:1] == b"{"
        ]
        if any(line["event"] == "ready" for line in lines):
            named = [(line["event"], line["url"]) for line in lines if "url" in line]
            return {event: int(url.rpartition(":")[2]) for event, url in named}
        time.sleep(0.02)
    raise AssertionError(f"the service did not start: {log.read_text(encoding='utf-8')}")


@contextmanager
def empty_handler() -> Iterator[Server]:
    """A process with `benchmarks/empty_handler.py`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.empty_handler"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Server(process.pid, int(process.stdout.readline()))
    finally:
        process.communicate(timeout=30)
