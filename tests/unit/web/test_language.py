"""Both languages say everything, and every reader gets one that they read."""

import string

import pytest

from monitor.web import words_en, words_zh
from monitor.web.language import Words, choose_language


def fields(text: str) -> set[str | None]:
    """The names of the fields of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}


def test_both_languages_have_the_same_keys_with_the_same_fields() -> None:
    """No text is missing in one language, and none forgets or invents a number."""
    assert list(words_en.TEXTS) == list(words_zh.TEXTS)
    for key, text in words_en.TEXTS.items():
        chinese = words_zh.TEXTS[key]
        if key.endswith(".one"):  # "1 alert" may or may not name the number
            assert fields(text) - {"n"} == fields(chinese) - {"n"}, key
        else:
            assert fields(text) == fields(chinese), key


def test_no_text_is_empty_or_left_in_english() -> None:
    """A Chinese text has a Chinese character or nothing to translate."""
    same = {key for key, text in words_en.TEXTS.items() if words_zh.TEXTS[key] == text}
    assert same == {"none", "at_least", "headline.join", "tier.L1", "tier.L2", "tier.L3"}
    assert all(words_en.TEXTS.values())
    assert [key for key, text in words_zh.TEXTS.items() if not text] == ["unit.join"]


@pytest.mark.parametrize(
    ("wanted", "cookie", "accepted", "expected"),
    [
        ("en", "zh-CN", "zh-CN", "en"),
        (None, "en", "zh-CN,zh;q=0.9", "en"),
        (None, None, "zh-TW,en;q=0.5", "zh-CN"),
        (None, None, "fr, en;q=0.2, zh;q=0.8", "zh-CN"),
        (None, None, "en;q=0, zh;q=0.1", "zh-CN"),
        (None, None, "fr-CH, de;q=0.9", "zh-CN"),
        (None, None, None, "zh-CN"),
        ("<script>", "../../etc", "en;q=oops, ,;;;=", "zh-CN"),
        ("zh_Hans", None, None, "zh-CN"),
    ],
)
def test_language_is_query_then_cookie_then_browser_then_shop(
    wanted: str | None, cookie: str | None, accepted: str | None, expected: str
) -> None:
    """The first that is understood wins; nonsense is passed over."""
    assert choose_language(wanted, cookie, accepted, "zh-CN") == expected


def test_unknown_default_falls_back_to_english() -> None:
    """A configured language that the page does not speak is no reason to fail."""
    assert choose_language(None, None, None, "tlh") == "en"


def test_code_without_a_text_is_shown_as_it_is() -> None:
    """A reason of tomorrow's version is better raw than lost."""
    words = Words("en")
    assert words.code("why", "claim_denied") == "the shop denied the claim"
    assert words.code("why", "moon_phase") == "moon_phase"
