"""Connect a shop: ask what its kind needs, try it, write it down, and say what will be known.

Without KIND the kinds are listed. Nothing is written before the shop answered; --untested writes
anyway. Secrets go to files of mode 0600 below keys/, never into monitor.yaml, whose other lines
stay as they are. What stands in a command is seen by others: `--set secret=@FILE` reads it.

Examples:
  delivery-monitor connect
  delivery-monitor connect dujiaoka
  delivery-monitor connect woocommerce --config /etc/delivery-monitor/monitor.yaml
  delivery-monitor connect dujiaoka --yes --set database_url=mysql://reader@127.0.0.1/dujiaoka
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from monitor.adapters.shops import check_url
from monitor.adapters.shops.catalogue import shop_kinds
from monitor.cli.asking import ask, given
from monitor.cli.connect_try import Tried, try_out
from monitor.cli.connect_words import WORDS, words_for
from monitor.cli.key_files import write_all
from monitor.cli.output import say, say_json, table, warn
from monitor.config.add_entry import with_entry
from monitor.config.connect import LANGUAGE, Plan, plan_for, problem_of, questions_for
from monitor.config.init import KeyFile, Question, render_config
from monitor.config.load import Loaded, load
from monitor.config.values import split_url
from monitor.model.addresses import is_loopback
from monitor.model.errors import ConfigError, InputError
from monitor.model.shops import ShopKind
from monitor.model.spelling import did_you_mean
from monitor.model.times import format_duration

CONFIG_NAME = "monitor.yaml"
LIST = "sources"


class Connected(msgspec.Struct, frozen=True):
    """What came of it, for `--json`; `tried` is None if the shop was not asked."""

    source: str
    kind: ShopKind
    tried: Tried | None
    address: str | None
    written: list[str]
    kept: list[str]
    next: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help="the shop system; none lists them")
    parser.add_argument("--config", type=Path, default=Path(CONFIG_NAME), metavar="FILE",
                        help="file to add the shop to; made if it is not there (default: %(default)s)")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="ask nothing, take the defaults")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=ANSWER",
                        help="answer a question beforehand")  # fmt: skip
    parser.add_argument("--untested", action="store_true", help="write without trying it")


def run(options: argparse.Namespace) -> int:
    """Ask, try, write, and say what comes next."""
    file = _File(options.config)
    if options.kind is None:
        _list_kinds(words_for(file.language), as_json=options.json)
        return 0
    kind = _kind(options.kind)
    answers = _answers(options, file, kind)
    plan = plan_for(kind, answers, file.currency)
    file.add(plan.entry)
    is_tried = not options.untested and (plan.source.database or plan.source.api)
    tried = asyncio.run(try_out(plan.source)) if is_tried else None
    written, kept = file.write(plan.files)
    loaded = load(options.config, needs_keys=False)
    done = Connected(
        plan.source.name, kind, tried, _address(kind, plan, loaded), written, kept,
        _next_commands(options.config),
    )  # fmt: skip
    if options.json:
        say_json(done)
    else:
        _say(done, plan, words_for(file.language))
    return 0


class _File:
    """monitor.yaml as it is, and as it will be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_new = not path.exists()
        self._text = ""
        try:
            self._read("" if self.is_new else path.read_bytes().decode("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(
                f"{path} cannot be read", hint=f"run `delivery-monitor check --config {path}`"
            ) from error
        if not self.is_new:
            load(path, needs_keys=False)  # its own mistakes are named at their own place

    def begin(self, language: str) -> None:
        """Begin a new file as `init` does."""
        self._read(render_config({"language": language}, has_source=False))

    def add(self, entry: dict[str, Any]) -> None:
        """Add the shop; InputError if one of that name is there."""
        sources = self._found.get(LIST)
        names = [one.get("name") for one in sources or () if isinstance(one, dict)]
        if entry["name"] in names:
            raise InputError(
                f"{self._path} has a source {entry['name']!r} already",
                code="exists",
                hint="choose another name, or take that entry out of the file first",
            )
        self._text = with_entry(self._text, LIST, entry)

    def write(self, files: Iterable[KeyFile]) -> tuple[list[str], list[str]]:
        """Write it with its key files; ConfigError if it would not be a usable file, then it stays."""
        draft = self._path.with_name(f".{self._path.name}.draft")
        try:
            written, kept = write_all(draft, self._text, files)
            load(draft, needs_keys=False)
            draft.replace(self._path)
        except ConfigError as error:
            first = error.problems[0]
            raise InputError(f"with these answers {first.message}", hint=first.hint) from error
        finally:
            draft.unlink(missing_ok=True)
        return [*written[:-1], str(self._path)], kept

    def _read(self, text: str) -> None:
        found = yaml.safe_load(text)
        self._text = text
        self._found: dict[str, Any] = found if isinstance(found, dict) else {}
        language = self._found.get("language")
        self.language = language if language in WORDS else "zh-CN"
        self.currency = str(self._found.get("currency", "CNY"))


def _kind(name: str) -> ShopKind:
    kinds = shop_kinds()
    found = next((kind for kind in kinds if kind.kind == name), None)
    if found is None:
        names = [kind.kind for kind in kinds]
        hint = did_you_mean(name, names) or "run `delivery-monitor connect`; it lists them"
        raise InputError(f"there is no kind of shop {name!r}", code="unknown_kind", hint=hint)
    return found


def _answers(options: argparse.Namespace, file: _File, kind: ShopKind) -> dict[str, str]:
    """Ask for what is not set; a file that is not there yet begins with its language."""
    questions = (LANGUAGE, *questions_for(kind))
    answers = given(options.set, questions, _problem)
    for question in questions if file.is_new else questions[1:]:
        if question.key not in answers:
            answers[question.key] = _answer(question, file.language, is_asked=not options.yes)
        if question is LANGUAGE:
            file.begin(answers[question.key])
    return answers


def _answer(question: Question, language: str, *, is_asked: bool) -> str:
    if is_asked:
        return ask(question, language, _problem)
    if not question.default and not question.is_optional:
        raise InputError(f"{question.key} is needed", hint=f"add --set {question.key}=…")
    return question.default


def _problem(question: Question, written: str) -> str:
    """What is wrong with an answer, also by what drivers of databases can read."""
    if question.key == "database_url" and written.strip():
        try:
            check_url(written.strip())
        except InputError as error:
            return f"{error}; {error.hint.replace('database.password_file', 'database_password')}"
    return problem_of(question, written)


def _address(kind: ShopKind, plan: Plan, loaded: Loaded) -> str | None:
    """Where the shop sends its webhooks, as far as it can be known here."""
    has_secret = any(file.path.endswith(".secret") for file in plan.files)
    if kind.secret_at is None or not has_secret:
        return None  # without one nothing that it sends is believed
    base = loaded.settings.public_url
    if is_loopback(split_url(base).hostname or ""):
        base = "https://YOUR-ADDRESS"  # nobody else reaches this machine by that name
    token = "?token=…" if kind.is_secret_in_address else ""
    return f"{base.rstrip('/')}/hooks/{plan.source.name}{token}"


def _list_kinds(words: Callable[..., str], *, as_json: bool) -> None:
    kinds = shop_kinds()
    if as_json:
        say_json(kinds)
        return
    say(words("kinds"))
    rows = []
    for kind in kinds:
        ways = [("database", kind.is_read), ("api", kind.is_asked), ("hook", kind.secret_at)]
        rows.append([kind.kind, ", ".join(words(f"how.{way}") for way, is_so in ways if is_so)])  # fmt: skip
    table(rows, [words("kind"), words("how")])


def _say(done: Connected, plan: Plan, words: Callable[..., str]) -> None:
    if done.tried is not None:
        say(words("answers", found=done.tried.found))
        for advice in done.tried.advice:
            warn(f"! {advice}")
    elif plan.source.database is None and plan.source.api is None:
        say(words("waits"))
    else:
        say(words("untested"))
    say(words("facts"))
    rows = [[one.fact, words(one.precision), one.source] for one in done.kind.known]
    table(rows, [words("fact"), words("known"), words("from")])
    say(_patience(done.kind, plan, words))
    for name in done.written:
        say(words("wrote", name=name))
    for name in done.kept:
        say(words("kept", name=name))
    if done.address is not None:
        files = [file.path for file in plan.files if file.path.endswith(".secret")]
        say(words("enter", file=files[0]) if files else words("enter.bare"))
        say(f"  {done.address}")
    say(words("next"))
    for command in done.next:
        say(f"  {command}")


def _patience(kind: ShopKind, plan: Plan, words: Callable[..., str]) -> str:
    """How long we may be down before something is lost."""
    if kind.patience_s is None:
        return words("down.never")
    patience = format_duration(kind.patience_s * 1_000)
    lost = words("down.patience", patience=patience) if kind.patience_s else words("down.at_once")
    is_made_up = plan.source.database or plan.source.api
    return f"{lost} {words('down.made_up')}" if is_made_up else lost


def _next_commands(config: Path) -> list[str]:
    return [f"delivery-monitor {verb} --config {config}" for verb in ("check", "doctor", "serve")]
