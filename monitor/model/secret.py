"""A string that never prints itself."""

from __future__ import annotations


class Secret:
    """Wraps a secret so that logs, tracebacks and dumps show `***`; `reveal()` is greppable."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plain text; call it only where the secret leaves for its one purpose."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))
