"""Names of channels, sources, providers and goods as small numbers, so that rows stay columns.

Names of the configuration always have a code, and so have the few that we give ourselves. Of others
each label takes at most `NAMES_MAX`, in the order of the log; whatever comes later shares `other`,
and so does whoever calls himself what all orders together are called.
One book serves all shards of a shop: if each had its own, what a name counts as would depend on how
many shards there are.
"""

from __future__ import annotations

from monitor.core.signals.observation import LABELS, Names
from monitor.model.ids import OTHER, UNKNOWN, UNNAMED_CHANNEL, WHOLE_SHOP
from monitor.model.settings import Settings

NAMES_MAX = 200
_OURS = dict.fromkeys((OTHER, UNKNOWN, UNNAMED_CHANNEL))


class NameBook:
    """Codes by label and name, in the order of first sight."""

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, int]] = {label: {} for label in LABELS}
        self._ours: dict[str, dict[str, None]] = {label: dict(_OURS) for label in LABELS}
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

    def know(self, settings: Settings) -> None:
        """Give the channels and sources of the configuration their codes, however many they are."""
        for label, configured in (("channel", settings.channels), ("source", settings.heard)):
            for one in configured:
                self._ours[label][one.name] = None
                self._add(label, one.name)

    def name(self, label: str, name: str | None) -> str:
        """What a name counts as: itself, or `other`."""
        codes, known = self._codes[label], name or UNKNOWN
        if known not in codes:
            self._code(label, known)
        return known if known in codes else OTHER

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
        is_strange = known not in codes and known not in self._ours[label]
        if is_strange and (known in WHOLE_SHOP or self._is_full(label)):
            known = OTHER
        return self._add(label, known)

    def _is_full(self, label: str) -> bool:
        """Whether no more names that are neither configured nor our own are taken."""
        codes = self._codes[label]
        return len(codes) - sum(name in codes for name in self._ours[label]) >= NAMES_MAX

    def _add(self, label: str, name: str) -> int:
        codes = self._codes[label]
        if name not in codes:
            codes[name] = len(codes)
            self._names = None
        return codes[name]
