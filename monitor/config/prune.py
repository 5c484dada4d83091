"""Leave the broken parts out of a document, so that the rest can still be checked.

Without this one misspelt key would hide every problem that needs the whole file (a receiver that
does not exist, a secret file that is missing) until the next run.
"""

from __future__ import annotations

from collections.abc import Collection

from pydantic_core import ErrorDetails

from monitor.config.yaml_lines import YamlPath


class Origins:
    """Maps places of a pruned document to places of the file; list items may have moved up."""

    def __init__(self, moved: dict[YamlPath, YamlPath] | None = None) -> None:
        self._moved = moved or {}

    def of(self, at: YamlPath) -> YamlPath:
        """Return the place in the file; of what the file lacks, below its nearest parent."""
        for length in range(len(at), 0, -1):
            origin = self._moved.get(at[:length])
            if origin is not None:
                return origin + at[length:]
        return at


def without(document: object, removed: Collection[YamlPath]) -> tuple[object, Origins]:
    """Copy a document without the removed places; list items behind them move up."""
    moved: dict[YamlPath, YamlPath] = {}

    def copy(value: object, old: YamlPath, new: YamlPath) -> object:
        moved[new] = old
        if isinstance(value, dict):
            return {
                key: copy(item, (*old, key), (*new, key))
                for key, item in value.items()
                if (*old, key) not in removed
            }
        if isinstance(value, list):
            kept = [i for i in range(len(value)) if (*old, i) not in removed]
            return [copy(value[i], (*old, i), (*new, n)) for n, i in enumerate(kept)]
        return value

    return copy(document, (), ()), Origins(moved)


def culprits(details: list[ErrorDetails], document: object) -> list[YamlPath]:
    """Name the smallest part to leave out for each pydantic finding; `()` is the whole document."""
    return [_culprit(detail["loc"], detail["type"] == "missing", document) for detail in details]


def _culprit(location: tuple[int | str, ...], is_missing: bool, document: object) -> YamlPath:  # noqa: FBT001 - private
    at: YamlPath = ()
    value = document
    for part in location[:-1] if is_missing else location:
        is_key = isinstance(value, dict) and part in value
        is_index = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not is_key and not is_index:
            break
        value = value[part]  # type: ignore[index]  # the two lines above are the check
        at = (*at, part)
    return at
