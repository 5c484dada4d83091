"""What init writes is a file that load accepts."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config.init import QUESTIONS, answer_problem, key_files, render_config
from monitor.config.load import Loaded, load
from monitor.model.errors import InputError
from monitor.model.secret import Secret
from tests.unit.config.files import API_KEY, write_secret

FULL = {
    "language": "en",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "source": "shop-1",
    "promise": "5m",
    "listen": "0.0.0.0:9000",
    "dingtalk_url": "https://oapi.dingtalk.com/robot/send?access_token=t0ken",
    "dingtalk_secret": "SEC0123",
    "webhook_url": "http://127.0.0.1:9/alerts",
    "failover_url": "http://127.0.0.1:9/switch",
}


def written(folder: Path, answers: dict[str, str]) -> Loaded:
    """Write what init would and load it."""
    (folder / "monitor.yaml").write_text(render_config(answers), encoding="utf-8")
    for file in key_files(answers):
        write_secret(folder / file.path, file.content.reveal() if file.content else API_KEY)
    return load(folder / "monitor.yaml", environ={})


def test_no_answers_give_the_defaults_with_a_key(tmp_path: Path) -> None:
    """Pressing enter all the way gives a configuration that only watches."""
    loaded = written(tmp_path, {})
    assert loaded.warnings == ()
    assert loaded.settings.language == "zh-CN"
    assert [source.name for source in loaded.settings.sources] == ["main-shop"]
    assert (loaded.settings.failover.mode, loaded.settings.fallback.mode) == ("observe", "observe")
    assert loaded.settings.receivers == ()
    assert [key.source for key in loaded.endpoints.keys] == ["main-shop"]


def test_all_answers_arrive_in_the_configuration(tmp_path: Path) -> None:
    """Every answer is used, and secrets stand in files."""
    loaded = written(tmp_path, FULL)
    assert loaded.warnings == ()
    assert loaded.settings.promise.default_ms == 300_000
    assert (loaded.settings.timezone, loaded.settings.currency) == ("Europe/Berlin", "EUR")
    assert loaded.endpoints.listen.port == 9_000
    robot, webhook = loaded.endpoints.integrations
    assert (robot.url, robot.secret) == (Secret(FULL["dingtalk_url"]), Secret("SEC0123"))
    assert (webhook.url, webhook.secret) == (Secret(FULL["webhook_url"]), Secret(API_KEY))
    assert loaded.endpoints.failover is not None
    text = (tmp_path / "monitor.yaml").read_text(encoding="utf-8")
    assert "t0ken" not in text
    assert "SEC0123" not in text


def test_key_files_say_what_each_must_hold() -> None:
    """Given secrets are written as they are, the others are made."""
    assert [(file.path, file.kind, file.content) for file in key_files(FULL)] == [
        ("keys/shop-1.key", "api_key", None),
        ("keys/dingtalk.url", "given", Secret(FULL["dingtalk_url"])),
        ("keys/dingtalk.secret", "given", Secret("SEC0123")),
        ("keys/webhook.secret", "webhook_secret", None),
        ("keys/failover.secret", "webhook_secret", None),
    ]


def test_comments_are_in_the_language_of_the_answers() -> None:
    """The file explains itself to its owner."""
    assert "# 监听地址" in render_config({})
    assert "# Where the service listens" in render_config({"language": "en"})


@pytest.mark.parametrize(
    ("key", "answer", "problem"),
    [
        ("language", "fr", "must be zh-CN or en"),
        ("timezone", "Mars", "must be a time zone such as Asia/Shanghai or UTC"),
        ("currency", "yuan", "must be a three-letter code such as CNY, EUR, USD"),
        ("source", "a b", "must be 1 to 64 letters"),
        ("promise", "3", "must be a duration such as 500ms, 60s, 3m, 6h, 30d"),
        ("listen", "here", "must be host:port such as 127.0.0.1:8080"),
        ("dingtalk_url", "robot", "must be a URL that starts with http:// or https://"),
        ("dingtalk_secret", "a\nb", "must be one line of printable text"),
        ("webhook_url", "ftp://h", "must be a URL that starts with http:// or https://"),
        ("failover_url", "http://", "names no valid host"),
    ],
)
def test_bad_answer_is_refused_with_the_reason(key: str, answer: str, problem: str) -> None:
    """The question can be asked again with a word on why."""
    assert answer_problem(key, answer).startswith(problem)
    with pytest.raises(InputError) as caught:
        render_config({key: answer})
    assert caught.value.pointer == f"/{key}"


def test_every_question_has_both_languages_and_a_good_default() -> None:
    """Enter is always an acceptable answer."""
    for question in QUESTIONS:
        assert question.text("zh-CN")
        assert question.text("en")
        assert answer_problem(question.key, "") == ""


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(source=st.text(max_size=20), host=st.text(max_size=20))
def test_accepted_answers_always_load(tmp_path: Path, source: str, host: str) -> None:
    """Whatever passes the check of its question survives the way through YAML."""
    answers = {"source": source, "webhook_url": f"http://{host}/x"}
    if answer_problem("source", source) or answer_problem("webhook_url", answers["webhook_url"]):
        return
    name = source.strip() or "main-shop"
    assert [source.name for source in written(tmp_path, answers).settings.sources] == [name]
