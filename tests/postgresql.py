"""A PostgreSQL of its own for tests: a fresh directory, a loopback port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mariadb import PASSWORD, USER, free_port

DEBIAN = Path("/usr/lib/postgresql")  # its programs are not in the search path there


@contextmanager
def postgresql() -> Iterator[int]:
    """Run a server and give its port; its superuser is `USER` with `PASSWORD`. Skips without one."""
    programs = _programs()
    if programs is None:
        pytest.skip("postgresql is not installed")
    # A server that is started by root runs as another user, who cannot enter pytest's directories.
    directory = Path(tempfile.mkdtemp(prefix="dm-postgresql-"))
    as_user = _owner(directory)
    secret = directory / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    secret.chmod(0o644)
    data, port = directory / "data", free_port()
    try:
        _run(as_user, programs / "initdb", "-D", data, "-U", USER, "--pwfile", secret,
             "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C")  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {directory} -c fsync=off"
        _run(as_user, programs / "pg_ctl", "-D", data, "-w", "-l", directory / "log",
             "-o", options, "start")  # fmt: skip
        try:
            yield port
        finally:
            _run(as_user, programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


def _programs() -> Path | None:
    found = shutil.which("pg_ctl")
    if found is not None:
        return Path(found).resolve().parent
    return max((path.parent for path in DEBIAN.glob("*/bin/pg_ctl")), default=None)


def _owner(directory: Path) -> list[str]:
    """Give the directory to who may run the server; the words before a command that do so."""
    if os.geteuid() != 0:
        return []
    owner = pwd.getpwnam("postgres")
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]


def _run(as_user: list[str], *command: object) -> None:
    subprocess.run(
        [*as_user, *map(str, command)],
        check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
