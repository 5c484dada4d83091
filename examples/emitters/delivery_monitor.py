"""Tells Delivery Monitor what happens to orders. One file, Python 3.8 or newer on Linux or macOS.

    monitor = DeliveryMonitor(url="http://127.0.0.1:8080", key="dm_…", spool="/var/spool/shop/events.ndjson")
    monitor.emit("order.paid", order_id, channel="auto", sku="steam-50", amount_minor=5000)

emit() appends a line to the spool; a thread sends it, and tries again after retry_ms. What is left waits for the
next process, or a flush() from cron. Nothing raises; the shop waits for its own disk only, and at its exit for
timeout_ms. Without a url the spool is only written: the monitor can read it (`sources[].tail`).
"""

import atexit
import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import threading
import time
import uuid
from datetime import datetime, timezone
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from urllib.parse import urlsplit

FIELDS = frozenset(
    "id source time traceparent channel sku quantity amount_minor currency provider payment_id customer_tier"
    " customer_hash speed fulfilment region attempt reason promise_s meaning outcome takeover_id".split()
)
PLACE = b"%015d %015d"  # sent up to here; not again before
TROUBLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
LINE_MAX, BATCH_LINES, BATCH_BYTES = 16_384, 500, 262_144  # an event; a request


class DeliveryMonitor:
    def __init__(self, url="", key="", secret="", source="", spool="", timeout_ms=180, retry_ms=10_000, spool_max=2**26):
        self._url, self._key, self._secret, self._source = url, key, secret, source
        self._spool, self._timeout_s, self._retry_s, self._spool_max = spool, timeout_ms / 1e3, retry_ms / 1e3, spool_max
        self._wake, self._owner = threading.Event(), 0

    def emit(self, kind, order, **fields):
        """Note an event; true if it is in the spool. Only known fields are kept: card text never leaves the shop."""
        try:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            event = {"type": kind, "order_id": str(order), "id": uuid.uuid4().hex, "time": now}
            event.update({"source": self._source} if self._source else {}, **{name: fields[name] for name in FIELDS & fields.keys()})
            line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
            is_named = order is not None and bool(event["order_id"].strip())
            is_kept = is_named and len(line) <= LINE_MAX and self._append(self._spool, line)
            if self._url and self._owner != os.getpid():  # at first, and after a fork
                self._owner, self._wake = os.getpid(), threading.Event()
                threading.Thread(target=self._run, daemon=True, name="delivery-monitor").start()
                atexit.register(self.flush)
            self._wake.set()
            return is_kept
        except TROUBLE:  # a shop must not stop because its monitor does
            return False

    def flush(self):
        """Send what is in the spool, until something takes longer than timeout_ms; true if nothing is left."""
        try:
            with open(os.open(self._spool + ".at", os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0) as place:
                if not self._url or not self._is_locked(place, self._timeout_s):
                    return False  # somebody else is sending
                at, not_before = (int(word) for word in (place.read(64) or b"0 0").split())
                with open(self._spool, "r+b", buffering=0) as spool:
                    return time.time() * 1e3 >= not_before and self._drain(spool, place, at)
        except TROUBLE:
            return False

    def _run(self):
        while True:
            self._wake.wait()
            self._wake.clear()
            while not self.flush() and not self._wake.wait(1):
                pass

    def _is_locked(self, file, wait_s):
        until = time.monotonic() + wait_s
        while True:
            try:
                return flock(file, LOCK_EX | LOCK_NB) is None
            except OSError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.001)

    def _append(self, path, line):
        """Add a line to a file. One that ends within a line was left so by a kill: that line is closed first."""
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+b", buffering=0) as file:
            self._is_locked(file, 0.05)
            size = file.seek(0, os.SEEK_END)
            is_torn = size and os.pread(file.fileno(), 1, size - 1) != b"\n"
            return size < self._spool_max and bool(file.write(b"\n" * is_torn + line + b"\n"))

    def _drain(self, spool, place, at):
        while True:
            at = at if at <= os.fstat(spool.fileno()).st_size else 0
            spool.seek(at)
            lines = spool.read(BATCH_BYTES).split(b"\n")[:-1][:BATCH_LINES]  # what follows the last break is not whole
            if not lines:
                flock(spool, LOCK_EX | LOCK_NB)
                if os.fstat(spool.fileno()).st_size == at:
                    os.pwrite(place.fileno(), PLACE % (0, 0), 0)  # first: after a kill in between all is sent again, under the same ids
                    return spool.truncate(0) == 0
                flock(spool, LOCK_UN)
                if b"\n" not in spool.read(LINE_MAX + 1):
                    return False  # somebody was killed within a line
                continue
            whole = [line for line in lines if line.strip()]
            is_done = not whole or self._send(whole)
            at += sum(len(line) + 1 for line in lines) if is_done else 0
            os.pwrite(place.fileno(), PLACE % (at, 0 if is_done else (time.time() + self._retry_s) * 1e3), 0)
            if not is_done:
                return False

    def _send(self, lines):
        """Whether the monitor has the lines, or refuses them for what they are: then they are in SPOOL.rejected."""
        try:
            said = json.loads(self._post(b"\n".join(lines) + b"\n").partition(b"\r\n\r\n")[2])
            is_refused = str(said.get("type")).startswith("urn:delivery-monitor:") and said.get("status") == 400
            bad = range(len(lines)) if is_refused else [one["index"] for one in said["rejected"]]
        except (OSError, ValueError, KeyError, AttributeError):
            return False  # no answer, overload, a wrong key, or not the monitor at all: later
        return all([self._append(self._spool + ".rejected", lines[index]) or True for index in bad])

    def _post(self, body):
        """The answer to a request, or what came of it until the deadline."""
        deadline, url, answer = time.monotonic() + self._timeout_s, urlsplit(self._url), b""
        peer = (url.hostname, url.port or (443 if url.scheme == "https" else 80))
        head = f"POST {url.path.rstrip('/')}/v1/events{'?' + url.query if url.query else ''} HTTP/1.0\r\nHost: {url.netloc}\r\n"
        head += f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n{self._proof(body)}\r\n"
        with socket.create_connection(peer, self._timeout_s) as plain:
            tls = ssl.create_default_context() if url.scheme == "https" else None
            with tls.wrap_socket(plain, server_hostname=url.hostname) if tls else plain as stream:
                stream.settimeout(max(0.001, deadline - time.monotonic()))
                stream.sendall(head.encode() + body)
                while (left := deadline - time.monotonic()) > 0 and not stream.settimeout(left) and (part := stream.recv(65_536)):
                    answer += part
        return answer

    def _proof(self, body):
        """A key, or a signature as Standard Webhooks ask for."""
        if not self._secret:
            return f"Authorization: Bearer {self._key}\r\n" if self._key else ""
        is_base64 = self._secret.startswith("whsec_")
        key = base64.b64decode(self._secret[6:]) if is_base64 else self._secret.encode()
        name, at = "msg_" + hashlib.sha256(body).hexdigest()[:32], int(time.time())
        mac = base64.b64encode(hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
        return f"webhook-id: {name}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{mac}\r\n"
