"""What buyers and people read: both languages say the same things, and what comes from outside is quoted."""

from string import Formatter

from monitor.core.playbooks.words import BUYER, PEOPLE, buyer_text, person_message


def names(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_languages_have_the_same_texts_with_the_same_gaps() -> None:
    """Nothing is missing in one of them."""
    for table in (BUYER, PEOPLE):
        chinese, english = table["zh-CN"], table["en"]
        assert chinese.keys() == english.keys()
        for key, text in chinese.items():
            assert names(text) == names(english[key]), key


def test_offer_names_its_choices_and_what_silence_means() -> None:
    """In the words of the language, not of the file."""
    text = buyer_text("en", "offer", "A1", ("refund", "wait"), "refund")
    assert "money back, go on waiting" in text
    assert text.endswith("it will be: money back.")
    assert "退款" in buyer_text("zh-CN", "offer", "A1", ("refund", "wait"), "refund")


def test_template_of_the_shop_has_no_words_of_ours() -> None:
    """The shop knows what `spring_sale` says; a choice is no template."""
    assert buyer_text("en", "spring_sale", "A1") == buyer_text("en", "refund", "A1") == ""


def test_names_from_outside_are_shown_and_not_read_as_markup() -> None:
    """An order id or a channel cannot make a heading or a link."""
    message = person_message("en", "page", order_id="#A [x](y)", channel="*b*", age_ms=60_000,
                             playbook="l3", level=3, reason="_r_", approve="act_1")  # fmt: skip
    assert "[x](y)" not in message.text
    assert "*b*" not in message.text
    assert "actions approve act_1" in message.text
