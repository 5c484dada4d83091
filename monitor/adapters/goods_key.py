"""The key under which goods are kept: its file, sealing, and digests that say nothing.

One file of 32 random bytes in hex, readable by its owner only. Losing it is losing the goods, so
it is never replaced: a file that is missing, too open or wrong is an error that says so.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from monitor.adapters.ids import RandomIds
from monitor.model.errors import GoodsKeyError, StorageError

KEY_BYTES = 32
NONCE_BYTES = 12
OWNER_ONLY = 0o600


class Sealer:
    """Encrypts with AES-256-GCM and names plain text by a keyed digest.

    `place` is bound to the sealed bytes: moved to another row they cannot be opened.
    """

    def __init__(self, key: bytes, ids: RandomIds) -> None:
        assert len(key) == KEY_BYTES
        self._cipher = AESGCM(key)
        # A key of its own for digests: the same bytes never serve two algorithms.
        self._digest_key = hmac.digest(key, b"delivery-monitor goods digest", "sha256")
        self._ids = ids

    def seal(self, place: str, goods: list[str]) -> bytes:
        """Encrypt a list of texts; shapes: 12 bytes nonce, then cipher text and tag."""
        nonce = self._ids.new_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, msgspec.json.encode(goods), place.encode())

    def open(self, place: str, sealed: bytes) -> list[str]:
        """Decrypt what `seal` made for that place; raises StorageError if it is not intact."""
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except InvalidTag:
            plain = None
        if plain is None:
            raise StorageError(
                "sealed goods cannot be opened: they were changed or moved",
                code="goods_damaged",
                hint="restore goods.db and goods.key together from one backup",
            )
        return msgspec.json.decode(plain, type=list[str])

    def digest(self, goods: list[str]) -> str:
        """Name a list of texts by a keyed hash: equal lists, equal names, nothing else is said."""
        plain = msgspec.json.encode(goods)
        return hmac.new(self._digest_key, plain, hashlib.sha256).hexdigest()

    def check_value(self) -> bytes:
        """A value by which a database recognises its key."""
        return hmac.digest(self._digest_key, b"check", "sha256")


def load_key(path: Path) -> bytes:
    """Read the key file; raises GoodsKeyError if it is open to others or is no key."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise GoodsKeyError(
            f"the goods key {path} cannot be read: {type(error).__name__}",
            hint=f"let the service's user read it, or restore it from a backup: {path}",
        ) from error
    if mode & ~OWNER_ONLY:
        raise GoodsKeyError(
            f"the goods key {path} is open to others (mode {mode:04o})",
            hint=f"run: chmod 600 {path}",
        )
    key: bytes | None = None
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = None
    if key is None or len(key) != KEY_BYTES:
        raise GoodsKeyError(
            f"the goods key {path} is not {KEY_BYTES} bytes in hex",
            hint="restore goods.key from the backup that holds goods.db",
        )
    return key


def make_key(path: Path, ids: RandomIds) -> bytes:
    """Write a new key where there is none; durable before it is used. Raises: StorageError."""
    key = ids.new_bytes(KEY_BYTES)
    draft = path.with_name(f"{path.name}.{ids.new_id('new')}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename it never replaces a key
        finally:
            draft.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        return load_key(path)
    except OSError as error:
        raise StorageError(
            f"the goods key {path} cannot be written: {error.strerror}", code="goods_key"
        ) from error
    return key
