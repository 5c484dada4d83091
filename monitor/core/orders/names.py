"""Names of channels, sources, providers and goods as small numbers, so that rows stay columns.

Names of the configuration always have a code. Of others each label takes at most `NAMES_MAX`;
whatever comes later shares `other`.
"""

from __future__ import annotations

from monitor.core.signals.observation import LABELS, Names
from monitor.model.ids import OTHER

NAMES_MAX = 200
UNKNOWN = "unknown"  # an order that names no provider or no goods


class NameBook:
    """Codes by label and name, in the order of first sight."""

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, int]] = {label: {} for label in LABELS}
        self._configured: dict[str, dict[str, None]] = {label: {} for label in LABELS}
        self._names: Names | None = None

    def codes(
        self, channel: str, source: str, provider: str | None, sku: str | None
    ) -> tuple[int, int, int, int]:
        """The codes of an order's names, one of each label."""
        known = self._codes
        try:  # names that were seen before, which is nearly always
            return (
                known["channel"][channel],
                known["source"][source or UNKNOWN],
                known["provider"][provider or UNKNOWN],
                known["sku"][sku or UNKNOWN],
            )
        except KeyError:
            return (
                self._code("channel", channel),
                self._code("source", source),
                self._code("provider", provider),
                self._code("sku", sku),
            )

    def code(self, label: str, name: str) -> int:
        """The code of a name of the configuration: it has its own, however many there are."""
        self._configured[label][name] = None
        return self._add(label, name)

    def name(self, label: str, name: str | None) -> str:
        """What a name counts as: itself, or `other`."""
        known = name or UNKNOWN
        self._code(label, known)
        return known if known in self._codes[label] else OTHER

    def names(self) -> Names:
        """All names as they are now; the same object until one is added."""
        if self._names is None:
            self._names = Names(**{label: tuple(codes) for label, codes in self._codes.items()})
        return self._names

    def restore(self, names: Names) -> None:
        """Take over all names of a snapshot behind those configured now; each stays itself."""
        for label in LABELS:
            for name in names.of(label):
                self._add(label, name)

    def _code(self, label: str, name: str | None) -> int:
        """The code of a name somebody used; beyond the limit new ones share that of `other`."""
        codes, known = self._codes[label], name or UNKNOWN
        if known not in codes and self._strangers(label) >= NAMES_MAX:
            known = OTHER
        return self._add(label, known)

    def _strangers(self, label: str) -> int:
        """How many names are neither configured nor `other`."""
        codes = self._codes[label]
        n_configured = sum(name in codes for name in self._configured[label] if name != OTHER)
        return len(codes) - n_configured - (OTHER in codes)

    def _add(self, label: str, name: str) -> int:
        codes = self._codes[label]
        if name not in codes:
            codes[name] = len(codes)
            self._names = None
        return codes[name]
