"""The end of a real service with everything open that may be: streams, slow clients, dead receivers."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.api.stream import READERS_MAX
from tests.e2e.serving import Served, serve

EXIT_S_MAX = 5.0
STREAM = b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CONFIG = """\
data_dir: data
channels: [{{name: auto, kind: external}}]
sources: [{{name: shop, heartbeat: 1s}}]
notify:
  route: {{receiver: ops}}
  receivers: [{{name: ops, webhook: [{{url: "http://127.0.0.1:{port}/hook"}}]}}]
telemetry: {{otlp: {{endpoint: "http://127.0.0.1:{port}", traces: true, metrics: true}}}}
"""


@contextmanager
def black_hole() -> Iterator[int]:
    """An address that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hole:
        yield hole.getsockname()[1]


def connect(served: Served, first: bytes) -> socket.socket:
    """A connection that has sent its first bytes."""
    wire = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=10)
    wire.sendall(first)
    return wire


def post(served: Served, body: bytes) -> None:
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    wire = connect(served, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert wire.recv(4_096).startswith(b"HTTP/1.1 202 ")
    wire.close()


@pytest.mark.slow
def test_exit_takes_less_than_five_seconds_whatever_is_open(tmp_path: Path) -> None:
    """200 readers, 20 half requests, a collector and a receiver that never answer: gone, with 0."""
    with black_hole() as port:
        config = tmp_path / "monitor.yaml"
        config.write_text(CONFIG.format(port=port), encoding="utf-8")
        with serve(tmp_path, "--config", str(config)) as served:
            readers = [connect(served, STREAM) for _ in range(READERS_MAX)]
            for reader in readers:
                assert reader.recv(4_096).startswith(b"HTTP/1.1 200 ")
            slow = [connect(served, STREAM[: 10 + number]) for number in range(20)]
            for number in range(20):
                for kind in ("order.paid", "delivery.delivered"):
                    post(served, b'{"type":"%s","order_id":"A%d"}' % (kind.encode(), number))
            began_s = time.monotonic()
            assert served.stop() == 0
            took_s = time.monotonic() - began_s
            for reader in readers:
                while chunk := reader.recv(65_536):
                    assert b"HTTP/1.1 5" not in chunk
            for wire in (*readers, *slow):
                wire.close()
    assert took_s < EXIT_S_MAX, f"{took_s:.1f} s on {os.cpu_count()} processors"
