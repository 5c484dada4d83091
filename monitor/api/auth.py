"""Who may do what: bearer tokens with scopes, and what a loopback listener may leave open.

Contract §3: on a loopback listener `ingest` and `read` are open while no keys are configured;
`operate` and `admin` always need a token. A request that came through a reverse proxy counts as
remote. Host and Origin are checked, because a page in the operator's browser also runs on loopback.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

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
from monitor.model.endpoints import Endpoints, IngestKey, Listen
from monitor.model.errors import AuthError, ConfigError, Problem

__all__ = ["ADMIN", "ANONYMOUS", "INGEST", "LOCAL", "OPEN_SCOPES", "OPERATE", "READ", "SCOPES",
           "Caller", "Gate", "is_signed"]  # fmt: skip

TOKEN_PREFIX = "dm_"  # noqa: S105 - what every token starts with, so that leaks can be found
TOKEN_FILE = "admin.token"  # noqa: S105 - a file name
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_PROXY_HEADERS = ("forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip")


class Gate:
    """Decides about requests from their headers alone; replaced as a whole when keys change."""

    def __init__(
        self,
        listen: Listen,
        keys: Sequence[IngestKey] = (),
        admin_sha256: str | None = None,
        allowed_hosts: Iterable[str] = (),
        signatures: Signatures | None = None,
    ) -> None:
        self.signatures = signatures or Signatures()
        self._is_open = is_loopback(listen.host) and not keys and not self.signatures
        self._is_wildcard = _is_wildcard(listen.host)
        self._hosts = {listen.host.lower(), *(host_name(host) for host in allowed_hosts)}
        self._callers = [
            (key.sha256.lower().encode(), Caller(key.source, key.scopes, key.source))
            for key in keys
        ]
        if admin_sha256 is not None:
            self._callers.append((admin_sha256.lower().encode(), Caller("admin", SCOPES)))

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Refuse names that a foreign DNS may point at us (rebinding).

        An address cannot be rebound, so any is fine where all of the machine's are listened on.

        Raises: AuthError `bad_host`.
        """
        host = host_name(headers.get("Host", ""))
        if host in self._hosts or is_loopback(host):
            return
        if self._is_wildcard and _address(host) is not None:
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

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return who sends, without judging what for.

        Raises: AuthError `unauthorized` for a token nobody has; a wrong token is never ignored.
        """
        authorization = headers.get("Authorization")
        if authorization is not None:
            return self._holder(authorization)
        return LOCAL if self._is_open and not is_forwarded(headers) else ANONYMOUS

    def admit(self, headers: Mapping[str, str], scope: str) -> Caller:
        """Return the caller if the scope is theirs.

        Raises: AuthError `unauthorized` (say who you are) or `forbidden` (you may not).
        """
        caller = self.identify(headers)
        if caller.may(scope):
            return caller
        if caller in (ANONYMOUS, LOCAL):
            raise AuthError(f"this needs a token with scope {scope}")
        raise AuthError(
            f"this token has no scope {scope}", code="forbidden", hint="use another token"
        )

    def _holder(self, authorization: str) -> Caller:
        scheme, _, credentials = authorization.partition(" ")
        is_browser = scheme.lower() == "basic"
        token = _password(credentials) if is_browser else credentials.strip()
        offered = token_sha256(token).encode()
        found: Caller | None = None
        for digest, caller in self._callers:  # all of them, so that time tells nothing
            if hmac.compare_digest(digest, offered):
                found = caller
        if found is None or scheme.lower() not in ("bearer", "basic"):
            raise AuthError("the token is unknown")
        if is_browser:
            # Browsers send Basic credentials by themselves, also for a foreign page's request: with
            # them one may look, never change anything.
            return Caller(found.name, (READ,) if found.may(READ) else (), found.source)
        return found


def gate_of(endpoints: Endpoints, token_path: Path) -> Gate:
    """Build the gate of a configuration; raises OSError, AuthError for an unusable token file."""
    return Gate(
        endpoints.listen,
        endpoints.keys,
        read_token_sha256(token_path),
        endpoints.allowed_hosts,
        Signatures(endpoints.source_secrets, endpoints.replay_window_ms // 1000),
    )


def _password(credentials: str) -> str:
    """The password of Basic credentials; empty if they are not readable."""
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except ValueError:
        return ""
    return text.partition(":")[2]


def token_sha256(token: str) -> str:
    """Return the hex digest under which a token is stored: it is random, so a plain hash will do."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether a proxy passed the request on: then the peer's address says nothing."""
    return any(
        name.startswith("x-forwarded") or name in _PROXY_HEADERS
        for name in (header.lower() for header in headers)
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine only."""
    address = _address(host)
    if address is None:
        return host.lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


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


def check_listen(listen: Listen, keys: Sequence[IngestKey], path: str = "monitor.yaml") -> None:
    """Refuse to serve the network without keys.

    Raises: ConfigError.
    """
    if keys or is_loopback(listen.host):
        return
    message = f"listen: {listen.host}:{listen.port} is reachable from the network without any key"
    hint = "set api_key_file for a source, or listen on 127.0.0.1"
    raise ConfigError([Problem(path, 1, 1, message, hint)])


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
            file.write(f"{TOKEN_PREFIX}{new_token()}\n")
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


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_wildcard(host: str) -> bool:
    address = _address(host)
    return not host or (address is not None and address.is_unspecified)
