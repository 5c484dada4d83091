"""Static files under names that hold their content's hash, so that they may be cached for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Asset(msgspec.Struct, frozen=True):
    """One static file."""

    url: str
    body: bytes
    content_type: str


class Assets:
    """All static files: by their plain name for templates, by their hashed name for requests."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.urls: dict[str, str] = {}
        self._assets: dict[str, Asset] = {}
        hasher = hashlib.blake2b(digest_size=6)
        for path in sorted(folder.iterdir()):
            body = path.read_bytes()
            tag = hashlib.blake2b(body, digest_size=6).hexdigest()
            hasher.update(body)
            name = f"{path.stem}.{tag}{path.suffix}"
            self._assets[name] = Asset(f"/static/{name}", body, _TYPES[path.suffix])
            self.urls[path.name] = self._assets[name].url
        self.version = hasher.hexdigest()

    def get(self, hashed_name: str) -> Asset | None:
        """The file with this hashed name; None for any other name."""
        return self._assets.get(hashed_name)
