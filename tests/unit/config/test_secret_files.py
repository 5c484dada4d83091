"""Secrets come from files beside the configuration, and bad files are named."""

import os
from contextlib import chdir
from pathlib import Path

import pytest

from monitor.model.endpoints import SourceSecrets
from monitor.model.secret import Secret
from tests.unit.config.files import API_KEY, load_text, problems_of, warnings_of, write_secret

WEBHOOK = "webhooks: [{url: 'http://h', secret_file: s}]\n"
PLACE = "monitor.yaml:1:43 webhooks[1].secret_file"


def test_secret_is_the_one_line_of_the_file(tmp_path: Path) -> None:
    """The line break an editor adds is not part of the secret."""
    write_secret(tmp_path / "s", "  SEC0123\n")
    assert load_text(tmp_path, WEBHOOK).endpoints.webhooks[0].secret == Secret("SEC0123")


def test_path_is_relative_to_the_configuration_not_to_the_process(tmp_path: Path) -> None:
    """The service may be started from anywhere."""
    write_secret(tmp_path / "keys/s", "SEC0123")
    (tmp_path / "elsewhere").mkdir()
    text = WEBHOOK.replace("secret_file: s", "secret_file: keys/s")
    with chdir(tmp_path / "elsewhere"):
        assert load_text(tmp_path, text).endpoints.webhooks[0].secret == Secret("SEC0123")
    absolute = WEBHOOK.replace("secret_file: s", f"secret_file: {tmp_path}/keys/s")
    assert load_text(tmp_path, absolute).endpoints.webhooks[0].secret == Secret("SEC0123")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"a\nb", "must hold one line"),
        (b"a" * 20_000, "is longer than 16384 bytes"),
    ],
)
def test_unusable_content_is_named_and_not_shown(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    """What the file holds is not repeated."""
    write_secret(tmp_path / "s").write_bytes(content)
    assert problems_of(tmp_path, WEBHOOK) == [f"{PLACE}: s {problem}"]


def test_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to would hang for ever."""
    os.mkfifo(tmp_path / "s")
    assert problems_of(tmp_path, WEBHOOK) == [f"{PLACE}: s is not a regular file"]


def test_folder_is_refused(tmp_path: Path) -> None:
    """A folder is not a secret."""
    (tmp_path / "s").mkdir()
    assert problems_of(tmp_path, WEBHOOK) == [f"{PLACE}: s is not a regular file"]


def test_world_readable_file_is_a_warning(tmp_path: Path) -> None:
    """It works, but everybody on the machine can sign in our name."""
    path = write_secret(tmp_path / "s")
    path.chmod(0o644)
    assert warnings_of(tmp_path, WEBHOOK) == [
        f"{PLACE}: every user of this machine can read s; run chmod 600 s"
    ]
    path.chmod(0o640)
    assert warnings_of(tmp_path, WEBHOOK) == []


def test_file_and_variable_together_are_refused(tmp_path: Path) -> None:
    """Nobody could tell which one counts."""
    write_secret(tmp_path / "s")
    text = "webhooks: [{url: 'http://h', secret_file: s, secret: '${env:S}'}]\n"
    assert problems_of(tmp_path, text, {"S": "x"}) == [
        "monitor.yaml:1:54 webhooks[1].secret and secret_file are both given; keep one of them"
    ]


def test_address_may_come_from_a_file(tmp_path: Path) -> None:
    """A robot's URL carries its token; the host is let through like one of the file itself."""
    text = "webhooks: [{url_file: u}]\n"
    write_secret(tmp_path / "u", "http://10.0.0.1/robot?access_token=t\n")
    endpoints = load_text(tmp_path, text).endpoints
    assert endpoints.webhooks[0].url == Secret("http://10.0.0.1/robot?access_token=t")
    assert endpoints.config_hosts == ("10.0.0.1:80",)
    write_secret(tmp_path / "u", "robot")
    assert problems_of(tmp_path, text) == [
        "monitor.yaml:1:23 webhooks[1].url_file must be a URL that starts with http:// or https://"
    ]


def test_one_key_for_two_shops_is_refused(tmp_path: Path) -> None:
    """The key says which shop an event is from."""
    write_secret(tmp_path / "k")
    text = "sources: [{name: a, api_key_file: k}, {name: b, api_key_file: k}]\n"
    assert problems_of(tmp_path, text) == [
        (
            "monitor.yaml:1:63 sources[2].api_key_file: the key is that of source 'a'; "
            "give every source a key of its own"
        )
    ]


def test_short_key_is_a_warning(tmp_path: Path) -> None:
    """A key that can be guessed is worth a word."""
    write_secret(tmp_path / "k", API_KEY[:19])
    assert warnings_of(tmp_path, "sources: [{name: a, api_key_file: k}]\n") == [
        (
            "monitor.yaml:1:35 sources[1].api_key_file: the key is shorter than 20 characters; "
            "make one with delivery-monitor init"
        )
    ]


def test_broken_webhook_secret_is_a_warning(tmp_path: Path) -> None:
    """`whsec_` promises base64; the receiver would decode it and find another signature."""
    write_secret(tmp_path / "s", "whsec_not base64")
    assert warnings_of(tmp_path, WEBHOOK) == [
        (
            f"{PLACE} starts with whsec_ but what follows is not base64 of at least 16 bytes; "
            "it is used as plain text"
        )
    ]


def test_source_may_have_several_secrets_and_keys_while_they_are_rotated(tmp_path: Path) -> None:
    """One file or a list of files; all of them are in force, in their order."""
    for name in ("old", "new"):
        write_secret(tmp_path / f"{name}.secret", f"secret-{name}")
        write_secret(tmp_path / f"{name}.key", f"{API_KEY}{name}")
    text = """
    sources:
      - {name: a, secret_file: [new.secret, old.secret], api_key_file: [new.key, old.key]}
      - {name: b, secret: "${env:B}"}
    """
    endpoints = load_text(tmp_path, text, {"B": "secret-b"}).endpoints
    assert endpoints.source_secrets == (
        SourceSecrets("a", (Secret("secret-new"), Secret("secret-old"))),
        SourceSecrets("b", (Secret("secret-b"),)),
    )
    assert [key.source for key in endpoints.keys] == ["a", "a"]


def test_more_than_ten_secrets_of_a_source_are_refused(tmp_path: Path) -> None:
    """Each of them is tried with every request."""
    text = f"sources: [{{name: a, secret_file: [{', '.join('s' * 11)}]}}]\n"
    assert problems_of(tmp_path, text) == [
        "monitor.yaml:1:34 sources[1].secret_file must name 1 to 10 files"
    ]


def test_secret_of_two_sources_is_refused(tmp_path: Path) -> None:
    """Else either could speak for the other."""
    write_secret(tmp_path / "s", "secret")
    text = "sources: [{name: a, secret_file: s}, {name: b, secret_file: s}]\n"
    assert problems_of(tmp_path, text) == [
        (
            "monitor.yaml:1:61 sources[2].secret_file: the secret is that of source 'a'; "
            "give every source a secret of its own"
        )
    ]


def test_replay_window_has_its_limits(tmp_path: Path) -> None:
    """Clocks differ by seconds, and an hour would be an invitation."""
    assert load_text(tmp_path, "replay_window: 30s\n").endpoints.replay_window_ms == 30_000
    assert load_text(tmp_path, "").endpoints.replay_window_ms == 300_000
    for window in ("29s", "16m"):
        assert problems_of(tmp_path, f"replay_window: {window}\n") == [
            "monitor.yaml:1:16 replay_window must be between 30s and 15m"
        ]


def test_source_that_signs_may_be_served_beyond_loopback(tmp_path: Path) -> None:
    """A secret is a key: nobody gets in without it."""
    write_secret(tmp_path / "s", "secret")
    text = "listen: 0.0.0.0:8080\nsources: [{name: a, secret_file: s}]\n"
    assert problems_of(tmp_path, text) == []
