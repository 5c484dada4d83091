"""Every error this product raises on purpose, as one tree.

    MonitorError
    ├── ConfigError        a file or setting is wrong; carries every problem found
    ├── InputError         a request or an event is wrong; carries a JSON pointer
    ├── AuthError          who you are, or what you may do, is not enough
    ├── CapacityError      a named limit is reached; try again after `retry_after_s`
    │   ├── OverloadError  … by everybody together
    │   └── QuotaError     … by one source
    ├── NotFoundError      no such order, takeover, rule …
    ├── StorageError       the disk or the database said no; nothing was acknowledged
    │   ├── GoodsKeyError  the key of the sealed goods is lost, wrong or open to others
    │   └── FencedError    another process owns the data directory now
    │       └── DiskFailedError  the disk failed again after the store was reopened
    ├── SourceError        a shop or gateway that is asked by us does not answer as it should
    ├── EffectError        an effect on the outside did not succeed
    │   ├── Transient      certainly not done; may be repeated
    │   ├── Permanent      certainly not done; repeating is pointless
    │   └── UnknownOutcome may have been done; never repeat blindly
    └── InvariantError     a bug; crash

`code` is stable and public, `hint` says what the reader can do now.
"""

from __future__ import annotations

import msgspec

# What reading a row or an entry of somebody else's ends in, when something stands in it that nobody
# thought of. Caught where it is read, and told by its type alone: its text may quote a value.
UNREADABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


class MonitorError(Exception):
    """Base of all errors raised on purpose; `str()` is one line fit for a user."""

    code = "error"
    hint = ""
    is_retryable = False

    def __init__(self, message: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.hint = hint or type(self).hint


class Problem(msgspec.Struct, frozen=True):
    """One finding in a file, as `path:line:column message`."""

    path: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.path}:{self.line}:{self.column} {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(MonitorError):
    """A configuration or rule file cannot be used; `problems` holds every finding, not the first."""

    code = "bad_config"
    hint = "correct the lines named above and run `delivery-monitor check`"

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class InputError(MonitorError):
    """Something sent to us is wrong; `pointer` is the JSON pointer (RFC 6901) of the culprit."""

    code = "bad_input"

    def __init__(self, message: str, *, code: str = "", hint: str = "", pointer: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.pointer = pointer


class AuthError(MonitorError):
    """The caller is unknown (401) or may not do this (403)."""

    code = "unauthorized"
    hint = "send `Authorization: Bearer <token>`; the admin token is in data_dir/admin.token"


class CapacityError(MonitorError):
    """A bounded queue is full; nothing was taken."""

    code = "overloaded"
    is_retryable = True

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message, hint=f"retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class OverloadError(CapacityError):
    """More comes in than the service can take, whoever sends it; nothing was taken."""


class QuotaError(CapacityError):
    """A source sends more than it may; nothing was taken."""

    code = "quota_exceeded"


class NotFoundError(MonitorError):
    """There is no such thing under the given name."""

    code = "not_found"


class StorageError(MonitorError):
    """The store refused; nothing of the request was acknowledged."""

    code = "storage"
    hint = "see /readyz?verbose; free disk space or restore from a backup, then retry"
    is_retryable = True


class GoodsKeyError(StorageError):
    """The goods cannot be opened with the key that is there; nothing was written to either."""

    code = "goods_key"
    hint = "restore goods.db and goods.key together from one backup"
    is_retryable = False


class FencedError(StorageError):
    """A newer owner holds the lease; this process must stop writing."""

    code = "fenced"
    hint = "another delivery-monitor uses this data directory; stop one of them"
    is_retryable = False


class DiskFailedError(FencedError):
    """The disk failed again, or what it holds could not be checked; this process must stop writing.

    A new process starts from what is on the disk, instead of trusting what memory says is there.
    """

    code = "disk_failed"
    hint = "check the disk and the kernel log; the service manager starts the service again"


class SourceError(MonitorError):
    """A shop's database, API or file cannot be read; asked again later, nothing is lost."""

    code = "source_unreadable"
    hint = "run `delivery-monitor doctor`; it asks every source and says what is wrong"
    is_retryable = True


class EffectError(MonitorError):
    """An effect on the outside did not succeed; the three children say what is known."""

    code = "effect_failed"


class Transient(EffectError):  # noqa: N818 - the word of the trade, and what the reader looks for
    """Certainly not done, and worth repeating; `retry_after_ms` is the peer's own wish."""

    code = "transient"
    is_retryable = True

    def __init__(self, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class Permanent(EffectError):  # noqa: N818 - as above
    """Certainly not done, and repeating it would be refused again."""

    code = "permanent"


class UnknownOutcome(EffectError):  # noqa: N818 - as above
    """May have been done: the bytes left us and no clear answer came back. Ask, never repeat."""

    code = "unknown_outcome"


class InvariantError(MonitorError):
    """The impossible happened; state cannot be trusted and the process must stop."""

    code = "bug"
    hint = "please report this with the log lines around it"
