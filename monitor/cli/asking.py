"""Questions on the terminal: asked until the answer is good, beforehand answered with `--set`."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Sequence

from monitor.cli.files import read_text
from monitor.cli.output import warn
from monitor.config.init import Question
from monitor.model.errors import InputError
from monitor.model.spelling import did_you_mean

FROM_FILE = "@"
SECRET_BYTES_MAX = 16_384

Check = Callable[[Question, str], str]  # what is wrong with an answer; empty: nothing


def given(pairs: Sequence[str], questions: Sequence[Question], check: Check) -> dict[str, str]:
    """Read `--set KEY=ANSWER`, of a secret also `KEY=@FILE`; a bad answer is an InputError.

    What stands in a command is in the history of the shell and seen in the list of processes.
    """
    by_key = {question.key: question for question in questions}
    answers: dict[str, str] = {}
    for pair in pairs:
        key, separator, answer = pair.partition("=")
        if key not in by_key:
            hint = did_you_mean(key, list(by_key)) or f"known are {', '.join(by_key)}"
            raise InputError(f"--set: there is no question {key!r}", hint=hint)
        if not separator:
            raise InputError(f"--set {key} has no answer", hint=f"write --set {key}=…")
        if by_key[key].is_secret and answer.startswith(FROM_FILE):
            answer = read_text(answer.removeprefix(FROM_FILE), SECRET_BYTES_MAX).strip()
        if problem := check(by_key[key], answer):
            raise InputError(f"--set {key}: {problem}")
        answers[key] = answer
    return answers


def ask(question: Question, language: str, check: Check) -> str:
    """Ask until the answer is good; questions go to stderr, so that stdout stays clean."""
    shown = f" [{question.default}]" if question.default else ""
    while True:
        prompt = f"{question.text(language)}{shown}: "
        if question.is_secret and sys.stdin.isatty():
            line = getpass.getpass(prompt, sys.stderr) + "\n"
        else:
            print(prompt, end="", file=sys.stderr, flush=True)
            line = _read_line()
        if not line:
            raise InputError(
                f"the input ended before the question {question.key!r} was answered",
                hint="use --yes to take the defaults, and --set KEY=ANSWER for the rest",
            )
        problem = check(question, line)
        if not problem:
            return line.strip() or question.default
        warn(problem)


def _read_line() -> str:
    try:
        return sys.stdin.readline()
    except UnicodeDecodeError as error:
        raise InputError("the answer is not UTF-8", hint="type it again") from error
