"""The keys in force while the service runs: read again when the file changes, and when each was used.

The file is the command line's; when a key was used last is ours, in a file beside it that may be
lost. The command line writes no log, so what it did to the keys comes into the audit here: entries
are named after their key, which makes writing one twice harmless.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from monitor.model.errors import CapacityError, ConfigError, StorageError
from monitor.model.ids import derived_id
from monitor.model.keys import ApiKey
from monitor.model.notes import Audited
from monitor.model.times import format_rfc3339
from monitor.ports import Clock
from monitor.runtime.keys_file import PRIVATE_FILE, read_keys, stamp

log = logging.getLogger("monitor.keyring")

LOOK_EVERY_S = 1.0
SAVE_EVERY_MS = 60_000
NOTEBOOK_NAME = "keys.used.json"


class Notebook(msgspec.Struct):
    """What is kept beside the keys: last use by key id (UTC ms), and what the audit has already."""

    used: dict[str, int] = {}
    audited: list[str] = []


class Keyring:
    """Reads `keys.json` of a data directory; `used` is written by whoever checks keys."""

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        on_change: Callable[[], None],
        note: Callable[[Audited], Awaitable[None]],
    ) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._on_change = on_change
        self._note = note
        self._stamp = stamp(data_dir)
        self.keys = read_keys(data_dir)
        self._notebook = read_notebook(data_dir)
        self.used = self._notebook.used
        self._saved = msgspec.json.encode(self._notebook)
        self._saved_ms = clock.now_ms()

    def reread(self) -> None:
        """Take over the file as it is now.

        Raises: ConfigError; then the keys stay as they are.
        """
        self._stamp = stamp(self._data_dir)  # first: a change while we read is seen the next time
        self.keys = read_keys(self._data_dir)
        self._on_change()

    async def run(self) -> None:
        """Follow the file for ever, and write down now and then when keys were used."""
        while True:
            if stamp(self._data_dir) != self._stamp:
                try:
                    self.reread()
                    log.info("keys_reread", extra={"fields": {"keys": len(self.keys)}})
                except ConfigError as error:
                    log.error("keys_refused", extra={"fields": {"problem": str(error)}})
            await self._audit()
            if self._clock.now_ms() - self._saved_ms >= SAVE_EVERY_MS:
                self.save()
            await asyncio.sleep(LOOK_EVERY_S)

    def save(self) -> None:
        """Write down when keys were used, if any was since the last time; a full disk is no trouble."""
        self._saved_ms = self._clock.now_ms()
        body = msgspec.json.encode(self._notebook)
        if body == self._saved:
            return
        try:
            _write_notebook(self._data_dir, body)
        except OSError as error:
            log.warning("keys_use_not_saved", extra={"fields": {"error": error.strerror}})
            return
        self._saved = body

    async def _audit(self) -> None:
        known = set(self._notebook.audited)
        new = [entry for entry in _entries(self.keys) if entry.audit_id not in known]
        for entry in new:
            try:
                await self._note(entry)
            except (StorageError, CapacityError):  # not ready, or in trouble: the next time
                return
            self._notebook.audited.append(entry.audit_id)


def read_notebook(data_dir: Path) -> Notebook:
    """What was written down last; nothing if there is none or it cannot be read."""
    try:
        return msgspec.json.decode((data_dir / NOTEBOOK_NAME).read_bytes(), type=Notebook)
    except (OSError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Notebook()


def _write_notebook(data_dir: Path, body: bytes) -> None:
    path = data_dir / NOTEBOOK_NAME
    draft = path.with_name(f".{NOTEBOOK_NAME}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=PRIVATE_FILE)
    draft.write_bytes(body)
    draft.replace(path)


def _entries(keys: tuple[ApiKey, ...]) -> Iterator[Audited]:
    """What the command line did to the keys, as the file tells it."""
    for key in keys:
        about: dict[str, object] = {"name": key.name, "scopes": key.scopes, "source": key.source}
        if key.expires_ms is not None:
            about["expires_at"] = format_rfc3339(key.expires_ms)
        yield _entry("key.new", key, key.created_ms, key.created_by, about)
        if key.revoked_ms is not None:
            yield _entry("key.revoke", key, key.revoked_ms, key.revoked_by, {"state": "revoked"})


def _entry(action: str, key: ApiKey, at_ms: int, actor: str, after: object) -> Audited:
    return Audited(
        audit_id=derived_id("aud", action, key.key_id),
        at_ms=at_ms,
        actor=actor,
        scope="admin",
        action=action,
        target=key.key_id,
        after=msgspec.Raw(msgspec.json.encode(after)),
    )
