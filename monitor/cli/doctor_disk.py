"""What `doctor` finds out about the data directory, the database and the process that uses them.

Nothing here takes the lock of a running service or writes to a file of its.
"""

from __future__ import annotations

import http.client
import os
import shutil
import stat
import time
from collections.abc import Collection
from pathlib import Path

import apsw

from monitor.adapters.clock import SystemClock
from monitor.adapters.self_audit import INVARIANTS, audit
from monitor.adapters.storage.directory import DATABASE_NAME
from monitor.adapters.storage.rebuild import QUARANTINE
from monitor.adapters.storage.sqlite_errors import storage_errors
from monitor.adapters.storage.sqlite_schema import (
    MIGRATIONS,
    check_integrity,
    connect_reader,
    refuse_old_sqlite,
)
from monitor.cli.directory import owner_of
from monitor.cli.finding import BAD, OK, WAITING, Finding
from monitor.cli.relay_checks import owed
from monitor.model.endpoints import Listen
from monitor.model.errors import StorageError
from monitor.model.times import MINUTE_MS, format_duration, format_rfc3339

SYNCS = 20
SYNC_BYTES = 4_096
SLOW_SYNC_MS = 50  # every 202 waits for one
FREE_BYTES_MIN = 1 << 30
ANSWER_S = 2.0
RELEASED_MS = 1_760_000_000_000  # October 2025: no machine runs this program earlier
PRIVATE_FILES = ("admin.token", "goods.key", DATABASE_NAME, "goods.db", "relay.db")
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph")
IN_MEMORY = ("tmpfs", "ramfs")


def look_at_disk(data_dir: Path, listen: Listen, relays: Collection[str] = ()) -> list[Finding]:
    """Directory, speed and space of its disk, SQLite, database, files, clock, running service."""
    findings = [_sqlite()]
    is_there = data_dir.is_dir()
    place = data_dir if is_there else _nearest(data_dir)
    findings.append(_writable(data_dir) if is_there else _to_be_made(data_dir, place))
    if os.access(place, os.W_OK | os.X_OK):
        findings.append(_sync_speed(place))
    findings += [_space(place), _file_system(place), _clock(data_dir)]
    if is_there:
        findings += [_service(data_dir, listen), _database(data_dir), *_put_aside(data_dir)]
        findings += [*_self_audit(data_dir), *owed(data_dir, relays)]
        findings += _private(data_dir)
    return findings


def _sqlite() -> Finding:
    version = apsw.sqlitelibversion()
    try:
        refuse_old_sqlite(version)
    except StorageError as error:
        return Finding("SQLite", BAD, str(error), error.hint)
    return Finding("SQLite", OK, f"{version} (apsw {apsw.apswversion()})")


def _nearest(path: Path) -> Path:
    """The closest folder above that exists."""
    return next((one for one in path.absolute().parents if one.is_dir()), Path("/"))


def _writable(data_dir: Path) -> Finding:
    draft = _draft(data_dir)
    try:
        draft.write_bytes(b"")
        draft.unlink()
    except OSError as error:
        return Finding(
            "data directory", BAD, f"{data_dir} cannot be written: {error.strerror}",
            "let this user write data_dir on a local disk, or name another one",
        )  # fmt: skip
    return Finding("data directory", OK, f"{data_dir} can be written")


def _to_be_made(data_dir: Path, place: Path) -> Finding:
    if data_dir.exists():
        found = f"{data_dir} is not a directory"
        return Finding("data directory", BAD, found, "name another one as data_dir")
    if os.access(place, os.W_OK | os.X_OK):
        return Finding("data directory", WAITING, f"{data_dir} does not exist yet; serve makes it")
    found = f"{data_dir} does not exist, and {place} cannot be written"
    advice = f"let this user write {place}, or name another data_dir"
    return Finding("data directory", BAD, found, advice)


def _draft(folder: Path) -> Path:
    return folder / f".doctor.{os.getpid()}"


def _sync_speed(folder: Path) -> Finding:
    """Time small synced writes, which is what every acknowledgement waits for."""
    draft = _draft(folder)
    took_ms: list[float] = []
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for _ in range(SYNCS):
                started_s = time.perf_counter()
                os.write(descriptor, bytes(SYNC_BYTES))
                os.fsync(descriptor)
                took_ms.append((time.perf_counter() - started_s) * 1_000)
        finally:
            os.close(descriptor)
            draft.unlink()
    except OSError as error:
        return Finding("disk sync", BAD, f"a synced write failed: {error.strerror}",
                       "check the disk and its free space")  # fmt: skip
    took_ms.sort()
    p50_ms, p99_ms = took_ms[SYNCS // 2 - 1], took_ms[-1]  # nearest rank: 0.99 × 20 is the last
    found = f"p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms of {SYNCS} synced writes"
    if p50_ms > SLOW_SYNC_MS:
        advice = "put data_dir on a faster local disk: every acknowledged event waits for a sync"
        return Finding("disk sync", BAD, found, advice)
    return Finding("disk sync", OK, found)


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    found = f"{free / (1 << 30):.1f} GiB free"
    if free < FREE_BYTES_MIN:
        advice = "free disk space; a full disk refuses events with 503"
        return Finding("disk space", BAD, found, advice)
    return Finding("disk space", OK, found)


def _file_system(folder: Path) -> Finding:
    kind = _mounted_as(folder.resolve())
    if kind in NETWORK_FILE_SYSTEMS:
        advice = "put data_dir on a local disk: SQLite's log is not safe across a network"
        return Finding("file system", BAD, kind, advice)
    if kind in IN_MEMORY:
        advice = "put data_dir on a disk: this one is empty after a restart of the machine"
        return Finding("file system", BAD, f"{kind}, in memory", advice)
    return Finding("file system", OK, kind or "unknown")


def _mounted_as(path: Path) -> str:
    """Type of the file system under a path; empty where the system does not say."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    best = ("", "")
    for line in mounts.splitlines():
        fields = line.split(" ")
        point = fields[1].replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, fields[2])
    return best[1]


def _clock(data_dir: Path) -> Finding:
    now_ms = SystemClock().now_ms()
    found = f"{format_rfc3339(now_ms - now_ms % 1_000)}"
    advice = "set the clock and let NTP keep it: ages, promises and signatures depend on it"
    if now_ms < RELEASED_MS:
        return Finding("clock", BAD, f"{found} is before this program was made", advice)
    database = data_dir / DATABASE_NAME
    if database.exists():
        ahead_ms = round(database.stat().st_mtime * 1_000) - now_ms
        if ahead_ms > 5 * MINUTE_MS:
            found = f"{found}, {format_duration(ahead_ms)} before the last write of the database"
            return Finding("clock", BAD, found, advice)
    return Finding("clock", OK, found)


def _service(data_dir: Path, listen: Listen) -> Finding:
    """Whether a service uses the directory, and whether it is ready."""
    owner = owner_of(data_dir)
    if owner is None:
        return Finding("service", OK, "not running on this data directory")
    try:
        status, text = _ask_ready(listen)
    except (OSError, http.client.HTTPException) as error:
        return Finding("service", BAD, f"runs as process {owner}, no answer on {listen.host}:{listen.port} ({error})",
                       "see its log; it may listen on another address")  # fmt: skip
    if status == http.client.OK:
        return Finding("service", OK, f"runs as process {owner}, ready")
    return Finding("service", BAD, f"runs as process {owner}, not ready: {text}",
                   "see /readyz?verbose and its log")  # fmt: skip


def _ask_ready(listen: Listen) -> tuple[int, str]:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(listen.host, listen.host)  # noqa: S104 - compared, not listened on
    connection = http.client.HTTPConnection(host, listen.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, " ".join(answer.read(500).decode("utf-8", "replace").split())
    finally:
        connection.close()


def _database(data_dir: Path) -> Finding:
    path = data_dir / DATABASE_NAME
    if not path.exists() or path.stat().st_size == 0:
        return Finding("database", WAITING, "empty; the first start fills it")
    try:
        with storage_errors(path):
            connection = connect_reader(path)
            try:
                is_complete = check_integrity(connection, path)
                version = int(connection.pragma("user_version"))
            finally:
                connection.close()
    except StorageError as error:
        return Finding("database", BAD, str(error), error.hint)
    if version > len(MIGRATIONS):
        found = f"schema {version}, this release knows up to {len(MIGRATIONS)}"
        return Finding("database", BAD, found, "run the newer delivery-monitor that wrote it")
    size = path.stat().st_size / (1 << 20)
    checked = "sound" if is_complete else "sound as far as was looked in 10 s"
    return Finding("database", OK, f"{checked}, {size:.1f} MiB, schema {version}")


def _put_aside(data_dir: Path) -> list[Finding]:
    """Damaged files that a start or a repair kept: somebody should look at the disk."""
    folders = sorted(one.name for one in data_dir.glob(f"{QUARANTINE}*"))
    if not folders:
        return []
    advice = "check the disk and memory of this machine, run fsck, then delete the folder"
    return [Finding("damage", BAD, f"damaged files were put aside in {', '.join(folders)}", advice)]


def _self_audit(data_dir: Path) -> list[Finding]:
    """What must never be true of takeovers, goods and switches."""
    try:
        broken = audit(data_dir, SystemClock().now_ms())
    except StorageError:
        return []  # the database is a finding already
    advice = (
        "set fallback.mode to observe, and compare the orders named with shop and supplier "
        "(docs/runbooks.md)"
    )
    if broken:
        return [Finding("self-audit", BAD, str(one), advice) for one in broken]
    return [Finding("self-audit", OK, f"{len(INVARIANTS)} rules hold")]


def _private(data_dir: Path) -> list[Finding]:
    """Files that only the service's user may read."""
    findings: list[Finding] = []
    for path in [data_dir / name for name in PRIVATE_FILES]:
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            found = f"{path} is open to others (mode {mode:04o})"
            findings.append(Finding("key files", BAD, found, f"run: chmod 600 {path}"))
    if stat.S_IMODE(data_dir.stat().st_mode) & 0o007:
        found = f"{data_dir} can be entered by every user of this machine"
        findings.append(Finding("key files", BAD, found, f"run: chmod 700 {data_dir}"))
    return findings or [Finding("key files", OK, f"private in {data_dir}")]
