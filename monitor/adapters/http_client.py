"""The one HTTP client of the product: every request to the outside goes through it (design D16).

It answers the question that matters for effects, *can it have been done?*, by when it failed:

    resolve, dial, TLS handshake   nothing of the request has left   Transient (Permanent: refused)
    send, wait, read the answer    all of it may have arrived        UnknownOutcome

So no connection is used twice (a stale one fails while sending), and aiohttp's own repetition of
idempotent methods is switched off. Redirects, cookies, proxies from the environment and
decompression are off; answers are cut at 16 KiB unless a caller wants a list. Messages name host and port only: paths and
queries of robot and supplier URLs carry tokens.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Mapping

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from monitor.adapters.egress import EgressRefusedError, guard, host_port
from monitor.adapters.names import Names
from monitor.model.endpoints import REQUEST_MS_MAX, Endpoints
from monitor.model.errors import EffectError, Permanent, Transient, UnknownOutcome

ANSWER_BYTES_MAX = 16 * 1024
CONNECT_MS_MAX = 5_000
CONNECTIONS_MAX = 100
CONNECTIONS_PER_HOST_MAX = 16

Blocked = Counter[str]  # requests that were refused here, by reason

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]{0,8000}")


class HttpAnswer(msgspec.Struct, frozen=True):
    """What came back: header names in lower case, the body as far as the limit goes."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """Sends a request once and says what is known afterwards.

    `config_hosts` are the `host:port` of URLs in the configuration file: the operator wrote them,
    so they may be private. `allow_networks` opens further networks (`10.0.0.0/8`). Everything else
    must be a public address; what is refused is counted in `blocked`. `resolver` replaces the
    system's name resolution, `timeout_ms_max` bounds what callers may ask for.
    """

    @classmethod
    def of(cls, endpoints: Endpoints, blocked: Blocked | None = None) -> HttpClient:
        """The client that the configuration asks for; it counts what it refuses in `blocked`."""
        return cls(
            config_hosts=endpoints.config_hosts,
            allow_networks=endpoints.egress_allow,
            blocked=blocked,
        )

    def __init__(
        self,
        *,
        config_hosts: Collection[str] = (),
        allow_networks: Collection[str] = (),
        resolver: AbstractResolver | None = None,
        timeout_ms_max: int = REQUEST_MS_MAX,
        blocked: Blocked | None = None,
    ) -> None:
        self._config_hosts = frozenset(_canonical(entry) for entry in config_hosts)
        self._blocked = Blocked() if blocked is None else blocked
        self._guards = {
            False: guard(allow_networks, self._blocked),
            True: guard(allow_networks, self._blocked, self._config_hosts),
        }
        self._resolver = resolver or Names()
        self._timeout_ms_max = timeout_ms_max
        # Two pools, so that permission is a property of the pool and not of a moment.
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._under_way = 0
        self._is_retired = False

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_ms: int = 10_000,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> HttpAnswer:
        """Send one request and read its answer, whatever the status; 3xx is just an answer.

        `timeout_ms` covers everything; at most half of it, and at most 5 s, goes to connecting.
        `answer_bytes_max` is for whole pages of a list; what is longer is cut there.
        Raises: Transient (nothing left), Permanent (refused here: address, URL or header),
        UnknownOutcome (it may have been done).
        """
        place = self._place(url)
        sent_headers = _checked_headers(headers or {}, has_user=URL(url).raw_user is not None)
        session = self._session(is_trusted=place in self._config_hosts)
        self._under_way += 1
        failure: EffectError
        try:
            async with session.request(
                method,
                URL(url),
                headers=sent_headers,
                data=body or None,
                allow_redirects=False,
                timeout=_timeout(min(timeout_ms, self._timeout_ms_max)),
            ) as response:
                return HttpAnswer(
                    status=response.status,
                    headers=_lowered(response),
                    body=await _read(response.content, answer_bytes_max),
                )
        except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
            failure = _classified(error, place)
            self._blocked["bad_url"] += failure.code == "bad_url"
        except asyncio.CancelledError:  # by aiohttp, as it closes a pool that requests wait for
            if _is_cancelled():
                raise
            failure = UnknownOutcome(f"{place}: the client was closed under the request")
        finally:
            self._under_way -= 1
            if self._is_retired:
                await self.retire()
        # Raised out here: the original names the full URL and must not travel along as context.
        raise failure

    async def retire(self) -> None:
        """Close as soon as no request is under way; one that comes late is sent all the same."""
        self._is_retired = True
        if not self._under_way:
            await self.close()

    async def close(self) -> None:
        """Close all connections, also those of requests under way: their outcome is unknown."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    def _place(self, url: str) -> str:
        """Host and port of a URL: all that a message may say of it."""
        place = ""
        try:
            place = host_port(url)
        except ValueError:
            place = ""
        if not place:
            self._blocked["bad_url"] += 1
            raise Permanent(
                "not an absolute http or https URL",
                code="bad_url",
                hint="check the URL in monitor.yaml",
            )
        return place

    def _session(self, *, is_trusted: bool) -> aiohttp.ClientSession:
        """Open a session on first use: aiohttp wants a running loop for it."""
        if is_trusted not in self._sessions:
            self._sessions[is_trusted] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX,
                    limit_per_host=CONNECTIONS_PER_HOST_MAX,
                    force_close=True,
                    resolver=self._resolver,
                    use_dns_cache=False,
                    socket_factory=self._guards[is_trusted],
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "delivery-monitor", "Accept-Encoding": "identity"},
                skip_auto_headers=["Content-Type"],
                middlewares=[_send_once],
                auto_decompress=False,
                trust_env=False,
            )
        return self._sessions[is_trusted]


def _is_cancelled() -> bool:
    """Whether somebody asked the running task to stop; else a CancelledError is an answer."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _ConnectionLostError(aiohttp.ClientError):
    """The connection broke after the request was under way."""


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating GET, PUT or DELETE by itself when a connection breaks."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # aiohttp repeats none of these
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _ConnectionLostError from error


def _classified(error: Exception, place: str) -> EffectError:
    """Say what is known after a failure; the order of the cases is from special to general."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Transient(f"{place}: the TLS handshake failed")
        case aiohttp.ClientConnectorDNSError():
            return Transient(f"{place}: the name cannot be resolved")
        case aiohttp.ClientConnectorError(os_error=EgressRefusedError()):
            return Permanent(
                f"{place}: requests to non-public addresses are refused",
                code="egress_refused",
                hint="write the URL into monitor.yaml, or open its network with egress.allow",
            )
        case aiohttp.ClientConnectorError():
            return Transient(f"{place}: cannot connect")
        case aiohttp.ConnectionTimeoutError():
            return Transient(f"{place}: no connection in time")
        case aiohttp.InvalidURL() | UnicodeError():
            return Permanent(f"{place}: the URL cannot be used", code="bad_url")
        case TimeoutError():
            return UnknownOutcome(f"{place}: no answer in time")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return UnknownOutcome(f"{place}: the answer cannot be read")
        case _:
            return UnknownOutcome(f"{place}: the connection broke before the answer")


def _canonical(entry: str) -> str:
    """Bring a configured `host:port` to the form requests are compared in."""
    host, _, port = entry.rpartition(":")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return host_port(f"http://{host}:{port}")


def _checked_headers(headers: Mapping[str, str], *, has_user: bool) -> dict[str, str]:
    """Refuse what could end a header line: values may come from orders."""
    for name, value in headers.items():
        if has_user and name.lower() == "authorization":
            raise Permanent("credentials in the URL and in a header", code="bad_header")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Permanent("a header cannot be sent as it is", code="bad_header")
    return dict(headers)


def _timeout(timeout_ms: int) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=timeout_ms / 1000,
        connect=min(CONNECT_MS_MAX, timeout_ms / 2) / 1000,
        ceil_threshold=float("inf"),  # no rounding up to whole seconds
    )


def _lowered(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {
        name.lower(): ", ".join(response.headers.getall(name)) for name in set(response.headers)
    }


async def _read(content: aiohttp.StreamReader, bytes_max: int) -> bytes:
    """Read up to the limit and leave the rest; the connection is closed anyway."""
    parts: list[bytes] = []
    left = bytes_max
    while left > 0:
        part = await content.read(left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
