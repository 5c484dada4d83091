"""`connect` tries a shop before it writes it down, and leaves the rest of the file alone."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from monitor.adapters.shops import PULLS, PUSHES, kinds
from monitor.adapters.shops.catalogue import shop_kinds
from monitor.cli.connect_words import WORDS
from monitor.cli.main import main
from monitor.config.connect import questions_for
from monitor.config.load import load
from tests.databases import READER_PASSWORD, Servers, ShopDatabase
from tests.e2e.serving import run
from tests.shops.stalls import DujiaokaBench

WOO = ["connect", "woocommerce", "--yes", "--set", "secret=woo-secret-0123456789"]
HAND_MADE = "# mine\nlanguage: en\nsources:\n  - name: old  # the first\n    heartbeat: 5m\n"


@pytest.fixture(scope="module")
def shop(mariadb_server: Servers) -> ShopDatabase:
    """A dujiaoka with one order."""
    database = mariadb_server.database(DujiaokaBench.script)
    DujiaokaBench(database).create(1, 1_767_578_400_000)
    return database


def dujiaoka(shop: ShopDatabase, *more: str) -> list[str]:
    """The command that connects the shop."""
    answers = ("language=en", f"database_url={shop.access.url}", *more)
    return ["connect", "dujiaoka", "--yes", *(part for one in answers for part in ("--set", one))]


def test_kinds_are_those_of_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever adapter there is can be connected, and says what it knows."""
    assert main(["connect", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in listed] == list(kinds())
    assert all(one["known"] for one in listed)
    assert {one["kind"] for one in listed if one.get("is_read")} == set(PULLS)
    assert {one["kind"] for one in listed if one.get("secret_at")} == set(PUSHES)


@pytest.mark.parametrize("language", sorted(WORDS))
def test_list_is_in_the_language_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    """Owners read Chinese or English."""
    config = tmp_path / "monitor.yaml"
    config.write_text(f"language: {language}\n", encoding="utf-8")
    assert main(["connect", "--config", str(config)]) == 0
    assert WORDS[language]["how.database"] in capsys.readouterr().out


def test_both_languages_say_the_same() -> None:
    """A phrase that is missing would end the command."""
    first, second = WORDS.values()
    assert first.keys() == second.keys()


def test_database_is_asked_and_the_shop_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shop: ShopDatabase
) -> None:
    """A file begins with the shop alone; the password is in a file of its own, and nowhere shown."""
    config = tmp_path / "monitor.yaml"
    command = dujiaoka(shop, f"database_password={READER_PASSWORD}", "name=main")
    assert main([*command, "--config", str(config)]) == 0
    shown = capsys.readouterr()
    assert "1 orders" in shown.out
    assert "While we are down nothing is lost" in shown.out
    loaded = load(config, environ={})
    (source,) = loaded.endpoints.shop_sources
    assert (source.name, source.kind, source.timezone) == ("main", "dujiaoka", "Asia/Shanghai")
    assert source.database is not None
    assert source.database.password is not None
    assert source.database.password.reveal() == READER_PASSWORD
    assert stat.S_IMODE((tmp_path / "keys" / "main.database").stat().st_mode) == 0o600
    texts = (config.read_text(encoding="utf-8"), shown.out, shown.err)
    assert not any(READER_PASSWORD in text for text in texts)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("database_password=wrong", "password"),
        ("database_url=mysql://reader@127.0.0.1:1/shop", "cannot be reached"),
    ],
)
def test_shop_that_cannot_be_read_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shop: ShopDatabase, answer: str, said: str
) -> None:
    """One line says why, and where there was no file there is none."""
    config = tmp_path / "monitor.yaml"
    assert main([*dujiaoka(shop, answer), "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "--untested" in error
    assert list(tmp_path.iterdir()) == []


def test_tables_of_another_shop_are_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mariadb_server: Servers
) -> None:
    """An empty database is no dujiaoka."""
    command = dujiaoka(mariadb_server.database(), f"database_password={READER_PASSWORD}")
    assert main([*command, "--config", str(tmp_path / "monitor.yaml")]) == 2
    assert "has no" in capsys.readouterr().err


def test_rest_of_the_file_stays_and_a_name_is_taken_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Comments are people's; the address to enter in the shop is shown."""
    config = tmp_path / "monitor.yaml"
    config.write_text(HAND_MADE, encoding="utf-8")
    assert main([*WOO, "--config", str(config)]) == 0
    assert config.read_text(encoding="utf-8").startswith(HAND_MADE)
    assert "https://YOUR-ADDRESS/hooks/woocommerce\n" in capsys.readouterr().out
    assert [one.name for one in load(config, environ={}).settings.sources] == ["old", "woocommerce"]
    before = config.read_bytes()
    assert main([*WOO, "--config", str(config)]) == 2
    assert "already" in capsys.readouterr().err
    assert config.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "answers", "address"),
    [
        ("gumroad", ("secret=a-word-of-your-own",), "https://shop.example/hooks/gumroad?token=…"),
        ("stripe", ("secret=whsec_0123456789abcdef",), "https://shop.example/hooks/stripe"),
        ("dujiaoka", (), None),
    ],
)
def test_address_is_the_one_to_enter(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    answers: tuple[str, ...],
    address: str | None,
) -> None:
    """With the word where a shop signs nothing; none where nothing that is sent would be believed."""
    config = tmp_path / "monitor.yaml"
    config.write_text("public_url: https://shop.example/\n", encoding="utf-8")
    command = ["connect", kind, "--yes", "--untested", "--json", "--config", str(config)]
    assert main([*command, *(part for one in answers for part in ("--set", one))]) == 0
    assert json.loads(capsys.readouterr().out)["address"] == address


def test_secret_is_read_from_a_file_and_the_language_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command is seen by others; one that chooses a language can be repeated for another shop."""
    secret = tmp_path / "typed"
    secret.write_text("whsec_0123456789abcdef\n", encoding="utf-8")
    config = tmp_path / "monitor.yaml"
    for name, language in (("first", "en"), ("second", "zh-CN")):
        answers = (f"name={name}", f"language={language}", f"secret=@{secret}")
        options = [part for one in answers for part in ("--set", one)]
        assert main(["connect", "stripe", "--yes", *options, "--config", str(config)]) == 0
    loaded = load(config, environ={})
    assert loaded.settings.language == "en"
    assert [one.secrets[0].reveal() for one in loaded.endpoints.shop_sources] == [
        "whsec_0123456789abcdef"
    ] * 2
    assert "whsec_" not in capsys.readouterr().out


def test_answer_that_makes_no_usable_entry_is_said_without_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file that was tried is gone, so no line of it is named."""
    config = tmp_path / "monitor.yaml"
    assert (
        main(["connect", "gumroad", "--yes", "--set", "secret=short", "--config", str(config)]) == 2
    )
    error = capsys.readouterr().err
    assert "with these answers" in error
    assert ".draft" not in error
    assert not config.exists()


def test_file_with_a_mistake_is_named_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is added to a file that could not be used."""
    config = tmp_path / "monitor.yaml"
    config.write_text("promise: {default: soon}\n", encoding="utf-8")
    assert main([*WOO, "--config", str(config)]) == 2
    assert f"{config}:1:20 promise.default" in capsys.readouterr().err
    assert config.read_text(encoding="utf-8") == "promise: {default: soon}\n"
    assert not list(tmp_path.glob(".*"))


def test_json_says_what_is_known_and_for_how_long_we_may_be_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For scripts; WooCommerce forgives nothing."""
    assert main([*WOO, "--json", "--config", str(tmp_path / "m.yaml")]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (said["source"], said["kind"]["patience_s"]) == ("woocommerce", 0)
    assert {"fact": "paid", "precision": "second", "source": "date_paid_gmt"} in said["kind"][
        "known"
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["connect", "dujioka"], "did you mean 'dujiaoka'"),
        (["connect", "stripe", "--yes"], "secret is needed"),
        (["connect", "stripe", "--set", "sceret=x"], "did you mean 'secret'"),
        (["connect", "dujiaoka", "--set", "database_url=x"], "database_url"),
        (["connect", "dujiaoka", "--set", "name=a b"], "name"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """With what to do, and exit code 2."""
    assert main([*arguments, "--config", str(tmp_path / "monitor.yaml")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_questions_are_asked_in_turn(tmp_path: Path, shop: ShopDatabase) -> None:
    """Enter takes a default; the end of the input before the last answer is said."""
    answers = ["en", "", shop.access.url, READER_PASSWORD, "", ""]
    typed = "\n".join(answers).encode()
    cut = run(tmp_path, "connect", "dujiaoka", given=typed)
    assert (cut.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "the input ended" in cut.stderr
    done = run(tmp_path, "connect", "dujiaoka", given=typed + b"\n")
    assert done.returncode == 0, done.stderr
    assert "Address of its database" in done.stderr
    assert (tmp_path / "keys" / "dujiaoka.database").is_file()


def test_every_kind_asks_in_both_languages() -> None:
    """No question is only in one of them."""
    asked = [question for kind in shop_kinds() for question in questions_for(kind)]
    assert asked
    assert all(question.zh and question.en and question.zh != question.en for question in asked)
