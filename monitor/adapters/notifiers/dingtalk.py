"""DingTalk robot: a signed markdown message; HTTP 200 says nothing, `errcode` says it all.

Options: `at_mobiles`, `at_user_ids` (lists), `at_all` (bool), `keyword` (the robot wants it).
"""

from __future__ import annotations

from urllib.parse import quote_plus

import msgspec

from monitor.adapters.fitting import fit
from monitor.adapters.http_client import HttpClient
from monitor.adapters.rate import SlidingWindow
from monitor.adapters.robot_reply import check_code
from monitor.adapters.signed_post import check_status, post_signed
from monitor.adapters.signing import dingtalk_sign
from monitor.model.effects import Notify
from monitor.model.endpoints import Endpoint
from monitor.model.errors import Transient

BODY_BYTES_MAX = 20_000
LIMIT, WINDOW_MS = 20, 62_000  # one more a minute blocks the robot for 10 minutes; 2 s spare
_WAIT_MS = {130101: 60_000, 302033: 60_000, -1: 5_000}  # too fast, too fast, system busy
_HINTS = {310000: "check the robot's secret, keywords and IP list, and this machine's clock"}


class DingTalkNotifier:
    """Sends to `…/robot/send?access_token=…`, never faster than the robot allows."""

    def __init__(self, client: HttpClient, rate: SlidingWindow | None = None) -> None:
        self._client = client
        self._rate = rate or SlidingWindow(LIMIT, WINDOW_MS)

    async def send(self, notify: Notify, endpoint: Endpoint, now_ms: int) -> None:
        """Send the message; the signature is URL-encoded exactly once."""
        url, body = endpoint.url.reveal(), _body(notify, endpoint)
        if wait_ms := self._rate.take(url, now_ms):
            raise Transient(f"{endpoint.name}: 20 messages a minute", retry_after_ms=wait_ms)
        if endpoint.secret is not None:
            sign = quote_plus(dingtalk_sign(endpoint.secret, now_ms))
            url += f"{'&' if '?' in url else '?'}timestamp={now_ms}&sign={sign}"
        answer = await post_signed(self._client, url, None, key="", body=body, now_ms=now_ms)
        check_status(answer, endpoint.name, now_ms, is_repeat_known=False)
        check_code(answer, "errcode", endpoint.name, wait_ms=_WAIT_MS, hints=_HINTS)

    def moved(self, client: HttpClient) -> DingTalkNotifier:
        """The same on another client: the robot counts on, whoever sends."""
        return DingTalkNotifier(client, self._rate)


def _body(notify: Notify, endpoint: Endpoint) -> bytes:
    options = endpoint.options
    mobiles, users = options.get("at_mobiles", []), options.get("at_user_ids", [])
    keyword = options.get("keyword") or ""
    mentions = "".join(f" @{number}" for number in mobiles)
    at = {"atMobiles": mobiles, "atUserIds": users, "isAtAll": options.get("at_all", False)}

    def write(text: str) -> bytes:
        text = text if keyword in text else f"{text} {keyword}"
        markdown = {"title": notify.title[:100], "text": text + mentions}
        return msgspec.json.encode({"msgtype": "markdown", "markdown": markdown, "at": at})

    return fit(notify.text, write, BODY_BYTES_MAX)
