"""The pepper: made once, private, and names that do not depend on how a number was typed."""

import hashlib
import hmac
from pathlib import Path

import pytest

from monitor.adapters.ids import RandomIds
from monitor.adapters.pepper import PEPPER_FILE, Pepper, ensure_pepper
from monitor.model.errors import StorageError


def test_first_start_makes_it_and_the_next_keeps_it(tmp_path: Path) -> None:
    """Only its owner may read the file, and the same buyer has the same name for ever."""
    folder = tmp_path / "data"
    first = ensure_pepper(folder, RandomIds())
    assert (folder / PEPPER_FILE).stat().st_mode & 0o777 == 0o600
    assert [one.name for one in folder.iterdir()] == [PEPPER_FILE]
    assert ensure_pepper(folder, RandomIds()).name("13800138000") == first.name("13800138000")
    other = ensure_pepper(tmp_path / "other", RandomIds())
    assert other.name("13800138000") != first.name("13800138000")


def test_name_is_an_hmac_of_the_normalised_text() -> None:
    """By hand: HMAC-SHA256 under the pepper, of the text without width, case and space."""
    secret = bytes(range(32))
    expected = "c1_" + hmac.new(secret, b"buyer@example.com", hashlib.sha256).hexdigest()
    pepper = Pepper(secret)
    for typed in ("buyer@example.com", " Buyer@Example.com\n", "ｂｕｙｅｒ＠example.com"):
        assert pepper.name(typed) == expected
    assert pepper.name("other@example.com") != expected
    assert pepper.name("\ud800").startswith("c1_")
    assert repr(pepper) == "***"


@pytest.mark.parametrize(
    ("content", "mode"), [("00" * 32, 0o644), ("00" * 31, 0o600), ("zz", 0o600), ("", 0o600)]
)
def test_unusable_file_is_an_error_without_its_content(
    tmp_path: Path, content: str, mode: int
) -> None:
    """Open to others, too short, damaged: said, never silently replaced."""
    (tmp_path / PEPPER_FILE).write_text(content, encoding="ascii")
    (tmp_path / PEPPER_FILE).chmod(mode)
    with pytest.raises(StorageError) as caught:
        ensure_pepper(tmp_path, RandomIds())
    assert not content or content not in str(caught.value)
    assert (tmp_path / PEPPER_FILE).read_text(encoding="ascii") == content
