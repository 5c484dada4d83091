"""Errors as RFC 9457 problems, and the last resort for the unexpected.

Every answer that is not a success leaves through here, so that clients read one form of error.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType

import msgspec
from aiohttp import web

from monitor.model.errors import (
    AuthError,
    CapacityError,
    ConfigError,
    EffectError,
    InputError,
    InvariantError,
    MonitorError,
    NotFoundError,
    OverloadError,
    StorageError,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTENT_TYPE = "application/problem+json"
STORAGE_RETRY_AFTER_S = 5

_logger = logging.getLogger(__name__)

# Basic is for browsers: any user name, the token as password.
_CHALLENGE = 'Bearer realm="delivery-monitor", Basic realm="delivery-monitor"'

# The first class that matches decides; codes below are more specific than their class.
_STATUS_OF_CLASS: tuple[tuple[type[MonitorError], int], ...] = (
    (InputError, 400),
    (ConfigError, 400),
    (AuthError, 401),
    (NotFoundError, 404),
    (OverloadError, 503),
    (CapacityError, 429),
    (StorageError, 503),
    (EffectError, 502),
    (InvariantError, 500),
)
_STATUS_OF_CODE = {
    "forbidden": 403,
    "bad_host": 403,
    "bad_origin": 403,
    "timeout": 408,
    "conflict": 409,
    "not_configured": 409,
    "too_large": 413,
    "too_many_events": 413,
    "unsupported_media_type": 415,
    "unsupported_encoding": 415,
    "idempotency_key_reused": 422,
    "webhook_id_reused": 422,
}
_CODE_OF_STATUS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
}
# After these the rest of the request's body is still on its way: the connection ends.
_CLOSING = (408, 413)


class FieldError(msgspec.Struct, frozen=True):
    """One culprit inside the request; `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    code: str
    message: str


class ProblemBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The problem as it is sent."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...] = ()
    hint: str = ""


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str = "",
    errors: tuple[FieldError, ...] = (),
    retry_after_s: int | None = None,
) -> web.Response:
    """Build the answer of a failed request; `code` is stable and public."""
    kind = f"urn:delivery-monitor:problem:{code}"
    title = HTTPStatus(status).phrase
    body = ProblemBody(kind, title, status, detail, code, errors, hint)
    response = web.Response(
        status=status, body=msgspec.json.encode(body), content_type=CONTENT_TYPE
    )
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, retry_after_s))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = _CHALLENGE
    if status in _CLOSING:
        response.force_close()
    return response


def status_of(error: MonitorError) -> int:
    """Return the HTTP status that says what the error says."""
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    return next((status for kind, status in _STATUS_OF_CLASS if isinstance(error, kind)), 500)


def from_error(error: MonitorError) -> web.Response:
    """Say an error of the product as a problem; what happened inside a bug stays inside."""
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(status, error.code, "internal error", hint=error.hint)
    errors: tuple[FieldError, ...] = ()
    retry_after_s = None
    if isinstance(error, InputError) and error.pointer:
        errors = (FieldError(error.pointer, error.code, str(error)),)
    elif isinstance(error, ConfigError):
        errors = tuple(FieldError("", error.code, str(found)) for found in error.problems)
    elif isinstance(error, CapacityError):
        retry_after_s = error.retry_after_s
    elif isinstance(error, StorageError):
        retry_after_s = STORAGE_RETRY_AFTER_S
    return problem(
        status,
        error.code,
        str(error),
        hint=error.hint,
        errors=errors,
        retry_after_s=retry_after_s,
    )


def from_http(error: web.HTTPException) -> web.Response:
    """Say what aiohttp raised (no such route, wrong method, too large) as a problem."""
    code = _CODE_OF_STATUS.get(error.status, "http_error")
    response = problem(error.status, code, error.reason)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem; redirects and other successes pass."""
    with _LastResort(request):
        try:
            return await handler(request)
        except MonitorError as error:
            if isinstance(error, InvariantError):
                _log(request, error)
            return from_error(error)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return from_http(error)
    return problem(500, InvariantError.code, "internal error")


class _LastResort:
    """Catches what nobody expected, before aiohttp does and answers with HTML.

    The log names the exception's type and where it was raised, never its text: that may hold
    whatever the request held.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request

    def __enter__(self) -> None:
        """Nothing is made ready: this is passed with every request."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, web.HTTPException):
            return False  # nothing, a redirect, or the end of the task
        if isinstance(error, ConnectionError):
            return False  # the client is gone: there is nobody to answer
        _log(self._request, error)
        return True


def log_failure(method: str, route: str, error: Exception) -> None:
    """Log what nobody expected: its type and where it was raised, never its text."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    _logger.error(
        "http_request_failed",
        extra={
            "fields": {
                "method": method,
                "route": route,
                "error": type(error).__name__,
                "raised_at": [f"{one.filename}:{one.lineno} {one.name}" for one in frames],
            }
        },
    )


def _log(request: web.Request, error: Exception) -> None:
    route = getattr(request.match_info.route.resource, "canonical", "")
    log_failure(request.method, route, error)
