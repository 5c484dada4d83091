"""What an emitter costs the shop: beside a service that is up, one that is gone, one that hangs.

Each language is a process of its own that times its own `emit`, event by event, two milliseconds
apart; the service is a real `serve` process. A web request of PHP sends when the buyer has the page,
so until then an event is a line in the spool; a command sends within `emit`, and its round trip is a
row of its own. What is gone is tried every ten seconds, as by default; what hangs, with every event.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from benchmarks.row import Row
from tests.e2e.serving import serve

HERE = Path(__file__).resolve().parent
COMMANDS = {
    "PHP": ["php", "time.php"],
    "Node": ["node", "time.js"],
    "Python": [sys.executable, "time.py"],
    "Java": ["javac"],
}
EVENTS, HUNG_EVENTS = 2_000, 20
UP_MS, REFUSED_MS, HUNG_MS = 2.0, 1.0, 200.0
GROUP = "emitters"


def rows(scale: float) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="emitters-") as name, serve(Path(name)) as service:
        for language, command in COMMANDS.items():
            if shutil.which(command[0]) is None:
                continue
            folder = Path(name) / language
            folder.mkdir()
            yield from _of(language, folder, service.url, round(EVENTS * scale))
            if language == "PHP":
                yield from _of_request(folder, round(EVENTS * scale))


def _of_request(folder: Path, events: int) -> Iterator[Row]:
    took = _timed("PHP", folder / "request", "", events)
    note = f"{events:,} events; the same while the service is gone or hangs"
    what = "PHP: emit in a web request, p99"
    yield Row(GROUP, what, _p99(took), "ms", REFUSED_MS, "lower", note)


def _of(language: str, folder: Path, url: str, events: int) -> Iterator[Row]:
    note = f"{events:,} events, the first one included"
    up = _timed(language, folder / "up", url, events)
    yield Row(GROUP, f"{language}: emit, p99, up", _p99(up), "ms", UP_MS, "lower", note)
    yield Row(GROUP, f"{language}: emit, median, up", median(up), "ms", note=note)
    with socket.create_server(("127.0.0.1", 0)) as gone:
        refused_url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    refused = _timed(language, folder / "refused", refused_url, events)
    note = f"{events:,} events, the first one tried"
    yield Row(
        GROUP, f"{language}: emit, p99, refused", _p99(refused), "ms", REFUSED_MS, "lower", note
    )
    with socket.create_server(("127.0.0.1", 0), backlog=128) as hung:
        hung_url = f"http://127.0.0.1:{hung.getsockname()[1]}"
        waited = _timed(language, folder / "hung", hung_url, HUNG_EVENTS, retry_ms=0)
    note = f"{HUNG_EVENTS} events, each of them tried"
    yield Row(GROUP, f"{language}: emit, longest, hung", max(waited), "ms", HUNG_MS, "lower", note)


def _timed(language: str, folder: Path, url: str, events: int, **settings: int) -> list[float]:
    folder.mkdir()
    given = {"url": url, "spool": str(folder / "spool.ndjson")} | settings
    command = [*COMMANDS[language], json.dumps(given), str(events)]
    if language == "Java":
        retry_ms = str(settings.get("retry_ms", ""))
        command = [*_java(folder), url, str(given["spool"]), retry_ms, str(events)]
    done = subprocess.run(
        command,
        cwd=HERE / "emitters",
        stdout=subprocess.PIPE,
        check=True,
    )
    took: list[float] = json.loads(done.stdout)
    return took


def _java(folder: Path) -> list[str]:
    """What runs the Java emitter, compiled into a folder."""
    emitter = HERE.parent / "examples" / "emitters" / "DeliveryMonitor.java"
    sources = [str(emitter), str(HERE / "emitters" / "Time.java")]
    subprocess.run(["javac", "-d", str(folder), *sources], check=True)
    return ["java", "-cp", str(folder), "Time"]


def _p99(took: list[float]) -> float:
    return quantiles(took, n=100)[98]
