"""What comes from outside is text in a message, never markup."""

import pytest

from monitor.core.alerting.markdown import escaped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A1-77.b", "A1-77.b"),
        ("订单 7", "订单 7"),
        ("ORD_12_3", r"ORD\_12\_3"),
        ("[free keys](http://evil)", r"\[free keys\](http://evil)"),
        ("**x** `y` ~~z~~", r"\*\*x\*\* \`y\` \~\~z\~\~"),
        ("<font color=red>", r"\<font color=red>"),
        ("a\\*b", r"a\\\*b"),
        ('@all <at user_id="all">', r'@all \<at user\_id="all">'),
        ("a\n# b", "a # b"),
    ],
)
def test_text_is_shown_as_it_is(text: str, expected: str) -> None:
    """A backslash before every sign that Markdown reads; one line stays one line."""
    assert escaped(text) == expected
