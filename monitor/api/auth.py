"""Who may do what: bearer tokens with scopes, and what a loopback listener may leave open.

Contract §3: on a loopback listener `ingest` and `read` are open while no keys are configured;
`operate` and `admin` always need a token. A request that came through a reverse proxy counts as
remote. Host and Origin are checked, because a page in the operator's browser also runs on loopback.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from monitor.api.caller import (
    ADMIN,
    ANONYMOUS,
    INGEST,
    LOCAL,
    OPEN_SCOPES,
    OPERATE,
    READ,
    SCOPES,
    Caller,
)
from monitor.api.signed import Signatures, is_signed
from monitor.model.addresses import address_of, is_loopback
from monitor.model.endpoints import Endpoints, IngestKey, Listen
from monitor.model.errors import AuthError
from monitor.model.keys import KEY_PREFIX, ApiKey, token_sha256

__all__ = ["ADMIN", "ANONYMOUS", "INGEST", "LOCAL", "OPEN_SCOPES", "OPERATE", "READ", "SCOPES",
           "Caller", "Gate", "is_signed", "token_sha256"]  # fmt: skip

TOKEN_FILE = "admin.token"  # noqa: S105 - a file name
NO_KEY = "-"  # stands in an address for a key
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_PROXY_HEADERS = ("forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip")


class _Holder(msgspec.Struct, frozen=True):
    """Whose key has a digest, and until when it is one."""

    caller: Caller
    sha256: str
    expires_ms: int | None = None


class Gate:
    """Decides about requests from their headers alone; replaced as a whole when keys change."""

    def __init__(
        self,
        listen: Listen,
        keys: Sequence[IngestKey] = (),
        admin_sha256: str | None = None,
        allowed_hosts: Iterable[str] = (),
        signatures: Signatures | None = None,
        stored: Sequence[ApiKey] = (),
        used: dict[str, int] | None = None,
        get_sources: Iterable[str] = (),
    ) -> None:
        self.signatures = signatures or Signatures()
        # Keys that were revoked count: revoking the last one must not open the door.
        self._is_open = not (keys or stored or self.signatures) and is_loopback(listen.host)
        self._used = {} if used is None else used
        self._get_sources = frozenset(get_sources)
        self._is_wildcard = _is_wildcard(listen.host)
        self._hosts = {listen.host.lower(), *(host_name(host) for host in allowed_hosts)}
        self._holders = {
            key.sha256.lower(): _Holder(
                Caller(key.source, key.scopes, key.source, key_id=key.key_id), key.sha256.lower()
            )
            for key in keys
        }
        for one in stored:
            if one.revoked_ms is None:
                caller = Caller(one.name, one.scopes, one.source, key_id=one.key_id)
                self._holders[one.sha256] = _Holder(caller, one.sha256, one.expires_ms)
        if admin_sha256 is not None:
            digest = admin_sha256.lower()
            self._holders[digest] = _Holder(Caller("admin", SCOPES), digest)

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Refuse names that a foreign DNS may point at us (rebinding).

        An address cannot be rebound, so any is fine where all of the machine's are listened on.

        Raises: AuthError `bad_host`.
        """
        host = host_name(headers.get("Host", ""))
        if host in self._hosts or is_loopback(host):
            return
        if self._is_wildcard and address_of(host) is not None:
            return
        raise AuthError(
            "this Host is not served here",
            code="bad_host",
            hint="use the address in `listen`, or add the name to allowed_hosts",
        )

    def check_origin(self, method: str, headers: Mapping[str, str]) -> None:
        """Refuse changes that a page of another site makes in somebody's browser.

        Raises: AuthError `bad_origin`.
        """
        origin = headers.get("Origin")
        if method in SAFE_METHODS or origin is None:
            return
        _, separator, authority = origin.partition("://")
        if not separator or authority.lower() != headers.get("Host", "").lower():
            raise AuthError("Origin and Host differ", code="bad_origin", hint="send no Origin")

    def identify(self, headers: Mapping[str, str], now_ms: int) -> Caller:
        """Return who sends, without judging what for.

        Raises: AuthError `unauthorized` for a token nobody has; a wrong token is never ignored.
        """
        authorization = headers.get("Authorization")
        if authorization is not None:
            return self._holder(authorization, now_ms)
        return LOCAL if self._is_open and not is_forwarded(headers) else ANONYMOUS

    def admit(self, headers: Mapping[str, str], scope: str, now_ms: int) -> Caller:
        """Return the caller if the scope is theirs.

        Raises: AuthError `unauthorized` (say who you are) or `forbidden` (you may not).
        """
        caller = self.identify(headers, now_ms)
        if caller.may(scope):
            return caller
        if caller in (ANONYMOUS, LOCAL):
            raise AuthError(f"this needs a token with scope {scope}")
        raise AuthError(
            f"this token has no scope {scope}", code="forbidden", hint="use another token"
        )

    def admit_by_path(
        self, key: str, headers: Mapping[str, str], scope: str, now_ms: int
    ) -> Caller:
        """Return the caller of an address that holds the key; `-` stands for none.

        Raises: AuthError, as `admit` does.
        """
        if key == NO_KEY:
            return self.admit(headers, scope, now_ms)
        return self.admit({"Authorization": f"Bearer {key}"}, scope, now_ms)

    def may_get(self, source: str) -> bool:
        """Whether events of a source may come by GET, as they do by a link."""
        return source in self._get_sources

    def _holder(self, authorization: str, now_ms: int) -> Caller:
        scheme, _, credentials = authorization.partition(" ")
        is_browser = scheme.lower() == "basic"
        token = _password(credentials) if is_browser else credentials.strip()
        found = self._known(token_sha256(token), now_ms)
        if found is None or scheme.lower() not in ("bearer", "basic"):
            raise AuthError("the token is unknown")
        if is_browser:
            # Browsers send Basic credentials by themselves, also for a foreign page's request: with
            # them one may look, never change anything.
            return Caller(found.name, (READ,) if found.may(READ) else (), found.source)
        return found

    def _known(self, offered: str, now_ms: int) -> Caller | None:
        """Find who has a key with this digest.

        By a table: the time it takes tells something of digests, and a digest leads to no key. What
        is found is compared in constant time all the same.
        """
        holder = self._holders.get(offered)
        if holder is None or not hmac.compare_digest(holder.sha256, offered):
            return None
        if holder.expires_ms is not None and now_ms >= holder.expires_ms:
            return None
        if holder.caller.key_id:
            self._used[holder.caller.key_id] = now_ms
        return holder.caller


def gate_of(
    endpoints: Endpoints, token_path: Path, stored: Sequence[ApiKey], used: dict[str, int]
) -> Gate:
    """Build the gate of a configuration and of the keys beside it; `used` gets their last use.

    Raises: OSError, AuthError for an unusable token file.
    """
    more = (listen.host for listen in endpoints.more_addresses().values())
    return Gate(
        endpoints.listen,
        endpoints.keys,
        read_token_sha256(token_path),
        (*endpoints.allowed_hosts, *more),
        Signatures(endpoints.source_secrets, endpoints.replay_window_ms // 1000),
        stored,
        used,
        endpoints.get_sources,
    )


def _password(credentials: str) -> str:
    """The password of Basic credentials; empty if they are not readable."""
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except ValueError:
        return ""
    return text.partition(":")[2]


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether a proxy passed the request on: then the peer's address says nothing."""
    return any(
        name.startswith("x-forwarded") or name in _PROXY_HEADERS
        for name in (header.lower() for header in headers)
    )


def host_name(authority: str) -> str:
    """Return the host of `host:port` or `[::1]:port`, in lower case.

    The port is not compared: it changes on the way through a published container port.
    """
    text = authority.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    if text.count(":") > 1:
        return text
    return text.partition(":")[0]


def ensure_admin_token(data_dir: Path, new_token: Callable[[], str]) -> Path:
    """Return the file with the admin token (0600); the first start creates it.

    It appears whole or not at all: a half-written token would lock the operator out.

    Raises: OSError.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = data_dir / TOKEN_FILE
    if not path.exists():
        fresh = data_dir / f".{TOKEN_FILE}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{KEY_PREFIX}{new_token()}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    path.chmod(0o600)
    return path


def read_token_sha256(path: Path) -> str:
    """Return the digest of the token in a file, for `Gate`.

    Raises: OSError; AuthError if the file is empty, which would admit the empty token.
    """
    token = path.read_text(encoding="ascii").strip()
    if not token:
        raise AuthError(f"{path} is empty", hint="delete it: the next start writes a new one")
    return token_sha256(token)


def _is_wildcard(host: str) -> bool:
    address = address_of(host)
    return not host or (address is not None and address.is_unspecified)
