"""The pepper: a secret of this installation, with which buyers are named so that nobody can tell who.

A shop may send a plain hash of a telephone number, or by mistake the number itself. There are only
10¹¹ of them: whoever gets the database would try them all. Without the pepper that is no use.

A new pepper gives everybody a new name. Nothing else depends on it, so a lost file is replaced.
"""

from __future__ import annotations

import hmac
import os
import stat
import unicodedata
from pathlib import Path

from monitor.adapters.ids import RandomIds
from monitor.adapters.storage.directory import PRIVATE_DIRECTORY, PRIVATE_FILE, sync_directory
from monitor.model.errors import StorageError

PEPPER_FILE = "pepper"
PEPPER_BYTES = 32
GOODS_PREFIX = "g1_"
PREFIX = "c1_"  # tells a name we gave from a value a shop sent; 1: how it is made


class Pepper:
    """Names buyers; equal after normalising means equal names."""

    def __init__(self, secret: bytes) -> None:
        assert len(secret) == PEPPER_BYTES
        self._secret = secret

    def __repr__(self) -> str:
        return "***"

    def name(self, customer: str) -> str:
        """Name a buyer: `c1_` and the HMAC-SHA256 of what the shop sent, 64 hex digits.

        Case, width of letters and white space around do not matter.
        """
        plain = unicodedata.normalize("NFKC", customer).strip().casefold()
        raw = plain.encode("utf-8", "surrogatepass")
        return PREFIX + hmac.digest(self._secret, raw, "sha256").hex()

    def name_goods(self, text: str) -> str:
        """Name a key that was sold, or the number of a payment: `g1_` and half of an HMAC-SHA256.

        Exactly as it was sent: two keys that differ in case are two keys.
        """
        raw = b"goods\0" + text.encode("utf-8", "surrogatepass")
        return GOODS_PREFIX + hmac.digest(self._secret, raw, "sha256")[:16].hex()


def ensure_pepper(data_dir: Path, ids: RandomIds) -> Pepper:
    """Read the pepper (0600); the first start makes it, and it is durable before it is used.

    Raises: StorageError if it cannot be read or written, is open to others or no pepper.
    """
    path = data_dir / PEPPER_FILE
    try:
        data_dir.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        if not path.exists():
            _write(path, ids)
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii").strip()
        secret = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no hex"
        raise StorageError(f"the pepper {path} cannot be used: {reason}", code="pepper") from None
    if mode & ~PRIVATE_FILE or len(secret) != PEPPER_BYTES:
        raise StorageError(
            f"the pepper {path} is open to others or not {PEPPER_BYTES} bytes",
            code="pepper",
            hint=f"run: chmod 600 {path}; or restore it from a backup",
        )
    return Pepper(secret)


def _write(path: Path, ids: RandomIds) -> None:
    """It appears whole or not at all, and never in the place of another."""
    draft = path.with_name(f"{path.name}.{ids.new_id('new')}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(ids.new_bytes(PEPPER_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    sync_directory(path.parent)
