"""Key files and the file that names them: each appears whole, with its mode, or not at all."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from pathlib import Path

from monitor.adapters.ids import RandomIds
from monitor.config.init import KeyFile

OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700
EVERYBODY_READS = 0o644
SECRET_BYTES = 32


def write_all(config: Path, text: str, files: Iterable[KeyFile]) -> tuple[list[str], list[str]]:
    """Write the key files beside a configuration, then itself; names of what was written and kept.

    A key that was made earlier stays as it is, because the shop uses it.
    """
    written: list[str] = []
    kept: list[str] = []
    config.parent.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = config.parent / file.path
        path.parent.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        if file.content is None and path.exists():
            path.chmod(OWNER_ONLY)
            kept.append(str(path))
            continue
        replace(path, f"{_content(file)}\n", OWNER_ONLY)
        written.append(str(path))
    replace(config, text, EVERYBODY_READS)
    return [*written, str(config)], kept


def _content(file: KeyFile) -> str:
    if file.content is not None:
        return file.content.reveal()
    ids = RandomIds()
    if file.kind == "api_key":
        return f"dm_{ids.new_token()}"
    assert file.kind == "webhook_secret", file.kind
    return f"whsec_{base64.b64encode(ids.new_bytes(SECRET_BYTES)).decode('ascii')}"


def replace(path: Path, text: str, mode: int) -> None:
    """Write a file that appears whole, with its mode, or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
