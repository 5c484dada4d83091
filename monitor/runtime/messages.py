"""Signed messages of the last minutes: each is taken once, also over a restart.

A message is durable in the log with the entries behind it, so it costs no sync of its own. The next
commit moves what was taken into a page of 24 bytes per message; a restart reads the pages and the
log behind them. Whether a message is new is asked where turns are made, one after the other, so two
requests with the same message never race.

A signature is accepted while its time is within the window of ours, so a message that was taken is
remembered for twice the window: the longest time after which it could come again. `complete_ms`
says from when on every message is known; a signature from before that, less the window, is stale,
which holds when the window is widened while the service runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from monitor.model.errors import AuthError, CapacityError, InputError
from monitor.model.ids import hash64
from monitor.model.notes import MessageTaken
from monitor.model.times import MINUTE_MS, SECOND_MS
from monitor.ports import MessagePage

MESSAGES_MAX: Final = 250_000  # about 40 MB; a shop that signs more a minute sends them in batches
WINDOW_MS: Final = 300 * SECOND_MS
STORED_MS: Final = 30 * MINUTE_MS  # twice the longest window, so that a restart may choose any
RETRY_S: Final = 30

_PAGE = np.dtype([("key", "<u8"), ("digest", "<u8"), ("at_ms", "<i8")])


class Messages:
    """What was taken, by minute, so that what is past goes at once and all together."""

    def __init__(
        self,
        window_ms: int = WINDOW_MS,
        on_full: Callable[[], None] = lambda: None,
        *,
        messages_max: int = MESSAGES_MAX,
    ) -> None:
        self._window_ms = window_ms
        self._on_full = on_full
        self._messages_max = messages_max
        self._minutes: dict[int, dict[int, int]] = {}
        self._unsaved: list[tuple[int, int, int]] = []
        self._complete_ms = 0
        self.count = 0

    @property
    def keep_ms(self) -> int:
        """For how long a message is remembered."""
        return 2 * self._window_ms

    def set_window(self, window_ms: int, now_ms: int) -> None:
        """Take over another window; what was forgotten under the old one stays forgotten."""
        self._complete_ms = max(self._complete_ms, now_ms - self.keep_ms)
        self._window_ms = window_ms

    def check_room(self, now_ms: int) -> None:
        """Refuse a new message while memory holds as many as it may.

        Raises: CapacityError.
        """
        if self.count >= self._messages_max:
            self._forget_before(now_ms - self.keep_ms)
        if self.count >= self._messages_max:
            self._on_full()
            raise CapacityError(
                f"{self.count} signed messages within {self.keep_ms // SECOND_MS} s; send batches, "
                "shorten replay_window or use an API key",
                retry_after_s=RETRY_S,
            )

    def is_known(self, message: MessageTaken) -> bool:
        """Whether the message was taken before.

        Raises: InputError `webhook_id_reused` when it was another one under this id; AuthError
        `stale_signature` when it is too old to know.
        """
        return self._judge(message, self._find(_key(message)))

    def take(self, message: MessageTaken) -> None:
        """Remember a message that is in the log."""
        key, digest = _key(message), int(message.digest, 16)
        self._put(key, digest, message.at_ms)
        self._unsaved.append((key, digest, message.at_ms))

    def drain(self, now_ms: int) -> MessagePage | None:
        """Give what was taken since the last time as a page; None if nothing was."""
        self._forget_before(now_ms - self.keep_ms)
        if not self._unsaved:
            return None
        rows, self._unsaved = np.array(self._unsaved, dtype=_PAGE), []
        return MessagePage(int(rows["at_ms"].max()), rows.tobytes(), now_ms - STORED_MS)

    def load(self, pages: Sequence[MessagePage]) -> None:
        """Take in what earlier processes wrote; a page that is not whole counts as far as it is."""
        for page in pages:
            whole = len(page.body) // _PAGE.itemsize * _PAGE.itemsize
            for key, digest, at_ms in np.frombuffer(page.body[:whole], dtype=_PAGE).tolist():
                self._put(key, digest, at_ms)

    def _judge(self, message: MessageTaken, known: int | None) -> bool:
        if known is None:
            if self._complete_ms and message.signed_ms < self._complete_ms + self._window_ms:
                raise AuthError(
                    "the signature is from before the window was widened",
                    code="stale_signature",
                    hint="every attempt is signed anew",
                )
            return False
        if known != int(message.digest, 16):
            raise InputError(
                "this webhook-id was used for another body",
                code="webhook_id_reused",
                hint="every message has an id of its own; a repeat has the same body",
            )
        return True

    def _find(self, key: int) -> int | None:
        return next((keys[key] for keys in self._minutes.values() if key in keys), None)

    def _put(self, key: int, digest: int, at_ms: int) -> None:
        if self._find(key) is None:
            self._minutes.setdefault(at_ms // MINUTE_MS, {})[key] = digest
            self.count += 1

    def _forget_before(self, past_ms: int) -> None:
        past = [minute for minute in self._minutes if (minute + 1) * MINUTE_MS <= past_ms]
        for minute in past:
            self.count -= len(self._minutes.pop(minute))


def _key(message: MessageTaken) -> int:
    return hash64(message.source, message.message_id)
