"""`rules` hands over to one module per verb and says what it does not know."""

import pytest

from monitor.cli.main import main
from monitor.cli.rules import VERBS


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names only modules that exist, and each shows how it is called."""
    assert main(["rules", verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"usage: delivery-monitor rules {verb}" in shown
    assert f"Examples:\n  delivery-monitor rules {verb}" in shown


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to know the verbs by heart."""
    assert main(["rules", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name:<10} {what}" in shown for name, what in VERBS.items())


def test_misspelt_verb_is_bad_input_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """What does not exist says so instead of doing nothing."""
    assert main(["rules", "tset"]) == 2
    assert capsys.readouterr().err == "error: unknown verb 'rules tset'; did you mean 'test'?\n"
    assert main(["rules"]) == 2
    assert "VERB" in capsys.readouterr().err


def test_unknown_option_of_a_verb_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    """The verb's own parser answers, with the verb's own help."""
    assert main(["rules", "test", "--nonsense"]) == 2
    assert "delivery-monitor rules test --help" in capsys.readouterr().err
