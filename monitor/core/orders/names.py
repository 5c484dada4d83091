"""Names of channels, sources, providers and goods as small numbers, so that rows stay columns.

Each label takes at most `NAMES_MAX` names; whatever comes later shares `other`.
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
                self.code("channel", channel),
                self.code("source", source),
                self.code("provider", provider),
                self.code("sku", sku),
            )

    def code(self, label: str, name: str | None) -> int:
        """The code of a name; beyond the limit all new names share that of `other`."""
        codes = self._codes[label]
        known = name or UNKNOWN
        if known not in codes:
            if len(codes) >= NAMES_MAX and known != OTHER:
                return self.code(label, OTHER)
            codes[known] = len(codes)
            self._names = None
        return codes[known]

    def name(self, label: str, name: str | None) -> str:
        """What a name counts as: itself, or `other`."""
        codes = self._codes[label]
        known = name or UNKNOWN
        if known not in codes:
            self.code(label, name)
        return known if known in codes else OTHER

    def names(self) -> Names:
        """All names as they are now; the same object until one is added."""
        if self._names is None:
            self._names = Names(**{label: tuple(codes) for label, codes in self._codes.items()})
        return self._names

    def restore(self, names: Names) -> None:
        """Take over names of a snapshot, with their codes."""
        for label in LABELS:
            for name in names.of(label):
                self.code(label, name)
