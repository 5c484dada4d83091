"""Which language a reader gets: `?lang=`, else the cookie, else the browser's, else the shop's."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.web import words_en, words_zh

ENGLISH, CHINESE = LANGUAGES = ("en", "zh-CN")
COOKIE = "lang"
ACCEPTED_MAX = 20  # entries of Accept-Language that are looked at
NAMES = {ENGLISH: "English", CHINESE: "简体中文"}

_TEXTS: Mapping[str, Mapping[str, str]] = {ENGLISH: words_en.TEXTS, CHINESE: words_zh.TEXTS}


class Words:
    """All texts of the page in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = _TEXTS[language]

    def __call__(self, key: str, **values: object) -> str:
        """One text with its fields filled in.

        Raises: KeyError for a key that no language has.
        """
        return self._texts[key].format(**values)

    def count(self, key: str, n: int, **values: object) -> str:
        """One text about `n` things: `key.one` or `key.many`."""
        return self(f"{key}.one" if n == 1 else f"{key}.many", n=n, **values)

    def code(self, family: str, code: str) -> str:
        """The text of a code; one nobody has a text for is shown as it is."""
        return self._texts.get(f"{family}.{code}", code)


def choose_language(
    wanted: str | None, cookie: str | None, accepted: str | None, default: str
) -> str:
    """Choose the first one that is understood; Chinese of any kind gets 简体中文."""
    for tag in (wanted, cookie, *_accepted_tags(accepted or "")):
        if tag is not None and (language := _supported(tag)) is not None:
            return language
    return _supported(default) or ENGLISH


def _supported(tag: str) -> str | None:
    match tag.strip().lower().replace("_", "-").partition("-")[0]:
        case "zh":
            return CHINESE
        case "en":
            return ENGLISH
        case _:
            return None


def _accepted_tags(header: str) -> list[str]:
    """Tags of an Accept-Language header, the most wanted first (RFC 9110 §12.5.4)."""
    weighted = []
    for entry in header.split(",")[:ACCEPTED_MAX]:
        tag, _, quality = entry.partition(";")
        weight = _weight(quality)
        if weight > 0.0:
            weighted.append((weight, tag))
    weighted.sort(key=lambda pair: -pair[0])
    return [tag for _, tag in weighted]


def _weight(quality: str) -> float:
    name, _, value = quality.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
