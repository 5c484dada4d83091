"""Container start: make the shop's key on the first start, then become the service.

Beyond loopback the service refuses to start without keys, and a container listens beyond loopback.
The key is random, never printed and kept on the data volume; a key file that is there is kept.
"""

import os
import secrets
import sys
from pathlib import Path
from typing import NoReturn

KEY_FILE = Path("/data/keys/shop.key")  # docker/monitor.yaml: sources[].api_key_file
KEY_BYTES = 32


def ensure_key(path: Path) -> bool:
    """Write a new key unless the file exists; returns whether it was written.

    The file appears with its whole content or not at all, so a start that is killed half-way
    never leaves an empty key behind.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"dm_{secrets.token_urlsafe(KEY_BYTES)}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike a rename it never replaces the key of a start beside this one
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def main(arguments: list[str]) -> NoReturn:
    """Prepare the volume and become the service; raises SystemExit(1) with one line if it cannot."""
    try:
        if ensure_key(KEY_FILE):
            print(f"wrote a new key for the shop to {KEY_FILE}", file=sys.stderr)
    except OSError as error:
        message = f"error: cannot write {KEY_FILE}: {error.strerror}"
        print(f"{message}; give the volume at /data to user 65532", file=sys.stderr)
        raise SystemExit(1) from None
    os.execvp("delivery-monitor", ["delivery-monitor", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
