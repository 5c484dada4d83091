"""A MariaDB of its own for tests: a fresh directory, a loopback port, gone afterwards."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

STOP_S = 30.0
USER = "shop"
PASSWORD = "only-on-loopback"


@contextmanager
def mariadb(directory: Path) -> Iterator[dict[str, Any]]:
    """Run a server and give the arguments for `pymysql.connect`; skips where it is not installed."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("mariadb-server is not installed")
    data, port = directory / "mysql", free_port()
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
         "--skip-test-db", f"--datadir={data}"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = subprocess.Popen(
        ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--port={port}",
         "--bind-address=127.0.0.1", f"--socket={directory}/db.sock", "--skip-name-resolve",
         "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", f"--pid-file={directory}/db.pid"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _wait(server)
        place = {"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD}
        root = pymysql.connect(unix_socket=f"{directory}/db.sock", user="root", autocommit=True)
        with root, root.cursor() as rows:
            rows.execute(f"CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            rows.execute(f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION")
        yield place
    finally:
        server.terminate()
        server.wait(STOP_S)
        if server.stderr is not None:
            server.stderr.close()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


def _wait(server: subprocess.Popen[str]) -> None:
    """Return when the server takes connections, and go on reading what it says."""
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        if "ready for connections" in line:
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return
    raise AssertionError("mariadbd did not start: " + "".join(said))
