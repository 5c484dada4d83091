"""Who gets in: the table of the contract, and what a browser or a proxy may not smuggle."""

import base64
import stat
from pathlib import Path

import pytest

from monitor.api.auth import (
    ADMIN,
    INGEST,
    OPERATE,
    READ,
    Gate,
    ensure_admin_token,
    host_name,
    read_token_sha256,
    token_sha256,
)
from monitor.model.endpoints import IngestKey, Listen
from monitor.model.errors import AuthError
from monitor.model.keys import ApiKey

SHOP = IngestKey("shop", token_sha256("dm_shop"))
STAFF = IngestKey("staff", token_sha256("dm_staff").upper(), ("operate",))
NOW_MS = 1_790_000_000_000
ROOT = token_sha256("dm_root")

OPEN = Gate(Listen(), (), ROOT)
KEYED = Gate(Listen(), (SHOP, STAFF), ROOT)
PUBLIC = Gate(Listen("0.0.0.0"), (SHOP, STAFF), ROOT)


def verdict(gate: Gate, scope: str, token: str | None = None, **headers: str) -> str:
    """The caller's name, or the code of the refusal."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        return gate.admit(headers, scope, NOW_MS).name
    except AuthError as error:
        return error.code


@pytest.mark.parametrize(
    ("gate", "token", "expected"),
    [
        # ingest, read, operate, admin
        (OPEN, None, "local local unauthorized unauthorized"),
        (OPEN, "dm_root", "admin admin admin admin"),
        (OPEN, "dm_wrong", "unauthorized unauthorized unauthorized unauthorized"),
        (KEYED, None, "unauthorized unauthorized unauthorized unauthorized"),
        (KEYED, "dm_shop", "shop forbidden forbidden forbidden"),
        (KEYED, "dm_staff", "forbidden staff staff forbidden"),
        (KEYED, "dm_root", "admin admin admin admin"),
        (PUBLIC, None, "unauthorized unauthorized unauthorized unauthorized"),
        (PUBLIC, "dm_shop", "shop forbidden forbidden forbidden"),
        (PUBLIC, "", "unauthorized unauthorized unauthorized unauthorized"),
    ],
)
def test_scopes_are_given_as_the_contract_says(
    gate: Gate, token: str | None, expected: str
) -> None:
    """Loopback without keys opens ingest and read only; keys close it; tokens carry scopes."""
    got = [verdict(gate, scope, token) for scope in (INGEST, READ, OPERATE, ADMIN)]
    assert got == expected.split()


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via"],
)
def test_forwarded_request_counts_as_remote(header: str) -> None:
    """A reverse proxy turns loopback into the internet; a token still works."""
    assert verdict(OPEN, INGEST, **{header: "127.0.0.1"}) == "unauthorized"
    assert verdict(OPEN, READ, "dm_root", **{header: "127.0.0.1"}) == "admin"


def test_only_bearer_tokens_are_taken() -> None:
    """The right token under another scheme is nothing; the scheme's case does not matter."""
    assert verdict(OPEN, READ, Authorization="Basic dm_root") == "unauthorized"
    assert verdict(OPEN, READ, Authorization="dm_root") == "unauthorized"
    assert verdict(OPEN, READ, Authorization="bearer dm_root") == "admin"


def test_gate_without_admin_token_admits_no_admin() -> None:
    """Nothing stands in for the missing file."""
    assert verdict(Gate(Listen()), ADMIN, "") == "unauthorized"
    assert verdict(Gate(Listen()), ADMIN) == "unauthorized"


def test_key_says_its_source() -> None:
    """Events of a key without source attribute belong to its shop."""
    assert KEYED.identify({"Authorization": "Bearer dm_shop"}, NOW_MS).source == "shop"
    assert KEYED.identify({"Authorization": "Bearer dm_root"}, NOW_MS).source is None


@pytest.mark.parametrize(
    ("gate", "host", "is_served"),
    [
        (OPEN, "127.0.0.1:8080", True),
        (OPEN, "localhost:9000", True),
        (OPEN, "LOCALHOST", True),
        (OPEN, "[::1]:8080", True),
        (OPEN, "evil.example:8080", False),
        (OPEN, "127.0.0.1.evil.example", False),
        (OPEN, "localhost.evil.example", False),
        (OPEN, "192.168.1.5:8080", False),
        (OPEN, "", False),
        (PUBLIC, "192.168.1.5:8080", True),
        (PUBLIC, "evil.example", False),
        (Gate(Listen("10.0.0.5"), (SHOP,)), "10.0.0.5:8080", True),
        (Gate(Listen("10.0.0.5"), (SHOP,)), "10.0.0.6:8080", False),
        (Gate(Listen(), (), None, ("Monitor.example", "other:8080")), "monitor.example:443", True),
        (Gate(Listen(), (), None, ("Monitor.example", "other:8080")), "other", True),
    ],
)
def test_host_names_nobody_configured_are_refused(gate: Gate, host: str, is_served: bool) -> None:
    """A name that a foreign DNS can point at loopback is not ours."""
    if is_served:
        gate.check_host({"Host": host})
    else:
        with pytest.raises(AuthError) as caught:
            gate.check_host({"Host": host})
        assert caught.value.code == "bad_host"


@pytest.mark.parametrize(
    ("method", "origin", "is_fine"),
    [
        ("POST", None, True),
        ("POST", "http://localhost:8080", True),
        ("POST", "https://LOCALHOST:8080", True),
        ("POST", "http://localhost:9090", False),
        ("POST", "http://evil.example", False),
        ("POST", "null", False),
        ("POST", "", False),
        ("DELETE", "http://evil.example", False),
        ("GET", "http://evil.example", True),
    ],
)
def test_changes_from_other_sites_are_refused(
    method: str, origin: str | None, is_fine: bool
) -> None:
    """Reading is held back by the browser itself; changing is held back here."""
    headers = {"Host": "localhost:8080"} | ({} if origin is None else {"Origin": origin})
    if is_fine:
        OPEN.check_origin(method, headers)
    else:
        with pytest.raises(AuthError) as caught:
            OPEN.check_origin(method, headers)
        assert caught.value.code == "bad_origin"


def test_browser_may_look_with_the_token_as_password_and_never_change() -> None:
    """Basic credentials are sent by the browser itself, so they carry no scope but read."""
    gate = Gate(Listen("0.0.0.0"), (SHOP,), token_sha256("dm_admin"))
    credentials = base64.b64encode(b"me:dm_admin").decode()
    headers = {"Host": "10.0.0.1", "Authorization": f"Basic {credentials}"}
    assert gate.admit(headers, READ, NOW_MS).name == "admin"
    for scope in (INGEST, OPERATE, ADMIN):
        with pytest.raises(AuthError) as caught:
            gate.admit(headers, scope, NOW_MS)
        assert caught.value.code == "forbidden"
    for wrong in ("", "!!", base64.b64encode(b"dm_admin").decode()):
        with pytest.raises(AuthError, match="unknown"):
            gate.admit({"Authorization": f"Basic {wrong}"}, READ, NOW_MS)


def test_host_is_read_from_every_spelling() -> None:
    """With and without port, IPv6 with and without brackets."""
    cases = {"A:1": "a", "a": "a", "[::1]:80": "::1", "::1": "::1", "[::1]": "::1", "": ""}
    assert {spelled: host_name(spelled) for spelled in cases} == cases


def test_admin_token_is_written_once_and_for_the_owner_only(tmp_path: Path) -> None:
    """The first start writes it, later starts keep it and close the file to others."""
    tokens = iter(["first", "second"])
    data_dir = tmp_path / "data"
    path = ensure_admin_token(data_dir, lambda: next(tokens))
    assert path == data_dir / "admin.token"
    assert path.read_text() == "dm_first\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert ensure_admin_token(data_dir, lambda: next(tokens)) == path
    assert path.read_text() == "dm_first\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(data_dir.iterdir()) == [path]
    assert read_token_sha256(path) == token_sha256("dm_first")


def test_admin_token_is_never_readable_by_others_not_even_while_it_is_written(
    tmp_path: Path,
) -> None:
    """The file is closed to others before the token is in it, and nobody sees it half written."""
    seen: list[tuple[str, int]] = []

    def new_token() -> str:
        seen.extend((one.name, stat.S_IMODE(one.stat().st_mode)) for one in tmp_path.iterdir())
        return "token"

    ensure_admin_token(tmp_path, new_token)
    ((name, mode),) = seen
    assert mode == 0o600
    assert name != "admin.token"


def test_empty_token_file_admits_nobody(tmp_path: Path) -> None:
    """The digest of nothing would be everybody's."""
    path = tmp_path / "admin.token"
    path.write_text("\n")
    with pytest.raises(AuthError, match="is empty"):
        read_token_sha256(path)


def stored(
    token: str,
    *scopes: str,
    source: str | None = None,
    expires_ms: int | None = None,
    revoked_ms: int | None = None,
) -> ApiKey:
    return ApiKey(
        f"key_{token}", token, token_sha256(token), token[-4:], scopes, 1, "me",
        source, expires_ms, revoked_ms,
    )  # fmt: skip


def test_stored_key_has_its_scopes_its_source_and_an_end() -> None:
    """At its end it is unknown, as if it had never been."""
    key = stored("dm_new", "ingest", source="shop", expires_ms=NOW_MS)
    gate = Gate(Listen(), stored=(key,))
    headers = {"Authorization": "Bearer dm_new"}
    caller = gate.admit(headers, INGEST, NOW_MS - 1)
    assert (caller.name, caller.source, caller.key_id) == ("dm_new", "shop", "key_dm_new")
    with pytest.raises(AuthError) as caught:
        gate.admit(headers, READ, NOW_MS - 1)
    assert caught.value.code == "forbidden"
    with pytest.raises(AuthError, match="unknown"):
        gate.admit(headers, INGEST, NOW_MS)


def test_revoked_key_is_unknown_and_keeps_the_door_closed() -> None:
    """Revoking the last key of a loopback listener must not open it to everybody."""
    gate = Gate(Listen(), stored=(stored("dm_old", "ingest", revoked_ms=1),))
    assert verdict(gate, INGEST, "dm_old") == "unauthorized"
    assert verdict(gate, INGEST) == "unauthorized"


def test_last_use_is_kept_for_keys_that_were_let_in() -> None:
    """Also of configured ones; the admin token and what is unknown have none."""
    used: dict[str, int] = {}
    configured = IngestKey("a", token_sha256("dm_a"), key_id="sources/a/1")
    expired = stored("dm_end", "ingest", expires_ms=NOW_MS)
    gate = Gate(Listen(), (configured,), ROOT, stored=(stored("dm_b", "read"), expired), used=used)
    for token in ("dm_a", "dm_b", "dm_root", "dm_end", "dm_wrong"):
        verdict(gate, INGEST, token)
    assert used == {"sources/a/1": NOW_MS, "key_dm_b": NOW_MS}
