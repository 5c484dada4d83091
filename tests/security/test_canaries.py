"""Secrets go in everywhere and come out nowhere: the whole service, every output (P20).

Twenty-odd random texts stand for keys, tokens, passwords, card keys and buyers. A real process is
driven through alerts, a switch, takeovers and failures with them; then everything it wrote, answered
or sent is searched. Where a secret has to be (its own file, the request it signs) is named here.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.api.routes import ROUTES
from tests.e2e.serving import ENVIRONMENT, run
from tests.security.canaries import canaries, found_in
from tests.security.outside import Outside, outside

NAMES = (
    "api_key", "source_secret", "webhook_secret", "robot_token", "robot_secret", "switch_secret",
    "shop_secret", "supplier_secret", "header_token", "pool_key", "supplier_goods", "rude_answer",
    "event_card", "event_password", "event_nested", "event_unknown", "broken_body", "wrong_token",
    "query_token", "cookie", "basic_password", "customer", "email_in_reason", "binary_header",
    "idempotency_body", "user_agent",
)  # fmt: skip

CONFIG = """
language: en
timezone: UTC
data_dir: data
promise: {{default: 1s}}
tiers: {{l1_after: promise, l2_after: 2s, l3_after: 3s}}
sources: [{{name: main-shop, api_key_file: keys/api_key, secret_file: keys/source_secret}}]
channels:
  - {{name: auto, kind: external}}
  - {{name: second, kind: external}}
  - name: rude
    kind: http
    capability: opaque
    settle: 1s
    submit: {{method: POST, url: "{url}/rude/buy", json: {{ref: "{{{{ attempt_ref }}}}"}},
             headers: {{X-Api-Key: "${{env:CANARY_HEADER}}"}}}}
    answer: &answer
      delivered: {{when: {{status: delivered}}, goods: keys, supplier_ref: id}}
      rejected: {{when: {{status: rejected}}, code: code}}
    errors: &errors {{out_of_stock: {{retry: other, blame: order}}}}
    sign: {{kind: hmac_sha256, header: X-Signature, secret_file: keys/supplier_secret}}
  - name: supplier
    kind: http
    capability: idempotent
    settle: 1s
    submit: {{method: POST, url: "{url}/supplier/buy", json: {{ref: "{{{{ attempt_ref }}}}"}}}}
    answer: *answer
    errors: *errors
    sign: {{kind: bearer, secret_file: keys/supplier_secret}}
  - {{name: pool, kind: stock}}
failover: {{mode: enforce, webhook: {{url: "{url}/shop/switch", secret_file: keys/switch_secret}}}}
fallback: {{mode: enforce, after: 1s, order: [supplier, pool, rude], max_per_hour: 100,
           max_value_per_day_minor: 1000000, max_loss_minor: 100000}}
shop: {{claim_url: "{url}/shop/claim", deliver_url: "{url}/shop/deliver",
       release_url: "{url}/shop/release", secret_file: keys/shop_secret}}
webhooks: [{{url: "{url}/hook", types: ["*"], secret_file: keys/webhook_secret}}]
notify:
  route: {{receiver: ops}}
  receivers:
    - name: ops
      dingtalk: [{{url: "${{env:CANARY_ROBOT}}", secret_file: keys/robot_secret}}]
telemetry: {{otlp: {{endpoint: "{url}", traces: true, metrics: true}}}}
"""
LINES = {"webhook_secret", "switch_secret", "shop_secret", "source_secret"}
"""Secrets in the form of Standard Webhooks."""


class Run:
    """A service with its secrets, and everything it gave out."""

    def __init__(self, folder: Path, world: Outside, secrets: dict[str, str]) -> None:
        self.folder, self.world, self.secrets = folder, world, secrets
        self.outputs: dict[str, bytes] = {}
        self.address = ("", 0)

    def write_files(self) -> None:
        keys = self.folder / "keys"
        keys.mkdir()
        for name in NAMES:
            text = self.secrets[name]
            if name in LINES:
                text = "whsec_" + base64.b64encode(text.encode()).decode()
            (keys / name).write_text(text, encoding="ascii")
            (keys / name).chmod(0o600)
        text = CONFIG.format(url=self.world.url)
        (self.folder / "monitor.yaml").write_text(text, encoding="utf-8")

    def environment(self) -> dict[str, str]:
        robot = f"{self.world.url}/robot?access_token={self.secrets['robot_token']}"
        return ENVIRONMENT | {"CANARY_HEADER": self.secrets["header_token"], "CANARY_ROBOT": robot}

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request; its answer, headers included, is an output."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        content = answer.read()
        self.note(f"{method} {path}", str(answer.headers).encode() + content)
        connection.close()
        return answer.status, content

    def post(self, *events: dict[str, Any], **headers: str) -> int:
        body = json.dumps(list(events)).encode()
        token = f"Bearer {self.secrets['api_key']}"
        given = {"Content_Type": "application/json", "Authorization": token, **headers}
        return self.ask("POST", "/v1/events", body, **given)[0]

    def note(self, name: str, content: bytes) -> None:
        self.outputs[name] = self.outputs.get(name, b"") + content

    def leaks(self) -> list[str]:
        """`secret in output` for each that came out."""
        return [
            f"{name} in {where}"
            for where, content in self.outputs.items()
            for name in found_in(content, self.secrets)
        ]


@contextmanager
def served(one: Run, plant: str = "") -> Iterator[None]:
    """The real process; all it prints is an output. `plant` is code that runs before it starts."""
    start = "import sys; from monitor.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", f"{plant}\n{start}", "serve", "--config", "monitor.yaml"]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], cwd=one.folder, env=one.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    is_ready = threading.Event()
    lines: list[bytes] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if b'"listening"' in line:
                host, _, port = json.loads(line)["url"].rpartition("//")[2].rpartition(":")
                one.address = (host, int(port))
            if b'"ready"' in line:
                is_ready.set()
        is_ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert is_ready.wait(30)
        assert one.address[1], b"".join(lines)
        yield
        process.terminate()
        process.wait(30)
    finally:
        process.kill()
        process.wait(10)
        reader.join(10)
        process.stdout.close()
        one.note("log", b"".join(lines))


def paid(order: str, **fields: Any) -> dict[str, Any]:
    return {"type": "order.paid", "order_id": order, "id": f"{order}-paid", "channel": "auto",
            "sku": "gold", "quantity": 1, "amount_minor": 400, "currency": "CNY", **fields}  # fmt: skip


def drive(one: Run) -> None:
    """Let a secret in by every door, then have everything happen that can happen."""
    secret = one.secrets
    one.post(
        paid("A1", card=secret["event_card"], customer_hash=secret["customer"]),
        paid("A2", client_password=secret["event_password"], note=secret["event_unknown"]),
        paid("A3", order_info={"kami": [secret["event_nested"]]}),
        {"type": "delivery.failed", "order_id": "A1", "id": "A1-f", "channel": "auto",
         "reason": f"no answer from {secret['email_in_reason']}@example.com"},
    )  # fmt: skip
    one.ask("POST", "/v1/events", b'{"card": "' + secret["broken_body"].encode())
    one.ask("POST", "/v1/events", b'[{"order_id": 7, "x": "%b"}]' % secret["broken_body"].encode(),
            Content_Type="application/json", Authorization=f"Bearer {secret['api_key']}")  # fmt: skip
    one.post(paid("A4"), User_Agent=secret["user_agent"], Cookie=f"session={secret['cookie']}")
    one.post(paid("A5"), Authorization=f"Bearer {secret['wrong_token']}")
    for path in ("paid/D1", "pay/D1", f"paid/D1?card={secret['event_card']}"):
        one.ask("POST", f"/e/{secret['api_key']}/{path}")
        one.ask("GET", f"/e/{secret['wrong_token']}/{path}")
    basic = base64.b64encode(f"me:{secret['basic_password']}".encode()).decode()
    one.ask("GET", "/", Authorization=f"Basic {basic}")
    one.ask("GET", f"/v1/orders?token={secret['query_token']}&limit=x")
    one.ask("POST", "/v1/events", b"{}", ce_id="1", ce_type="order.paid", ce_source="s",
            ce_specversion="1.0", ce_password=secret["binary_header"])  # fmt: skip
    one.post(*(paid(f"B{number}") for number in range(8)), Idempotency_Key="k")
    one.post(paid("C1", card=secret["idempotency_body"]), Idempotency_Key="k")
    token = (one.folder / "data" / "admin.token").read_text(encoding="ascii").strip()
    body = b'{"scope": "*", "weights": {"second": 100}, "reason": "a test"}'
    status, _ = one.ask("POST", "/v1/switches", body,
                        Authorization=f"Bearer {token}", Content_Type="application/json")  # fmt: skip
    assert status < 300
    one.world.wait_for("/shop/deliver", 3)
    one.world.wait_for("/rude/buy")
    one.world.wait_for("/hook", 3)
    one.world.wait_for("/robot")
    one.world.wait_for("/shop/switch")
    one.world.wait_for("/v1/metrics")
    one.world.wait_for("/v1/traces")


def look(one: Run) -> None:
    """Ask for everything there is to see, with the right to see it."""
    token = (one.folder / "data" / "admin.token").read_text(encoding="ascii").strip()
    bearer = f"Bearer {token}"
    status, body = one.ask("GET", "/v1/takeovers", Authorization=bearer)
    assert status == 200
    takeover = json.loads(body)["takeovers"][0]["id"]
    names = {"id": "A1", "rule": "DelayedOver2Percent", "name": "auto", "decision_id": "x"}
    for route in ROUTES:
        if route.method != "GET" or route.path == "/v1/stream":
            continue
        path = route.path
        for name, value in names.items():
            chosen = takeover if route.path.startswith("/v1/takeovers") else value
            path = path.replace(f"{{{name}:[^/]+}}", chosen).replace(f"{{{name}}}", value)
        one.ask("GET", path, Authorization=bearer)
    for path in ("/", "/?lang=zh-CN", "/?lang=en", "/nothing-here", "/readyz?verbose"):
        one.ask("GET", path, Authorization=bearer)
    one.ask("POST", "/-/reload", Authorization=bearer)
    one.ask("POST", "/v1/channels/auto/drain", b'{"reason": "x"}', Authorization=bearer,
            Content_Type="application/json")  # fmt: skip
    for verb in (["orders"], ["order", "A1"], ["channels"]):
        shown = run(
            one.folder,
            *verb,
            "--url",
            f"http://{one.address[0]}:{one.address[1]}",
            "--key",
            token,
            "--json",
        )
        one.note(f"cli {verb[0]}", (shown.stdout + shown.stderr).replace(token, "").encode())


@contextmanager
def listening_to_the_stream(one: Run) -> Iterator[None]:
    """Read the event stream meanwhile, as the shop may."""
    stream = socket.create_connection(one.address, timeout=60)
    token = one.secrets["api_key"]
    admin = (one.folder / "data" / "admin.token").read_text(encoding="ascii").strip()
    request = f"GET /v1/stream HTTP/1.1\r\nHost: {one.address[0]}\r\nAuthorization: Bearer {admin}\r\n\r\n"
    assert token not in request
    stream.sendall(request.encode())

    def read() -> None:
        while part := stream.recv(65_536):
            one.note("stream", part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        stream.shutdown(socket.SHUT_RDWR)
        reader.join(10)
        stream.close()


def collect(one: Run) -> None:
    """Add what lies in the data directory, what was sent, and what the offline verbs say."""
    own = {"admin.token", "goods.key", "pepper"}
    for path in (one.folder / "data").rglob("*"):
        if path.is_file() and path.name not in own:
            one.note(f"file {path.name}", path.read_bytes())
    for path_sent, bodies in one.world.bodies.items():
        if path_sent != "/shop/deliver":  # there the goods belong
            one.note(f"sent to {path_sent}", b"\n".join(bodies))
    for verb in (["check"], ["doctor"], ["stock", "list"], ["fsck"], ["notify", "test", "ops"]):
        shown = subprocess.run(
            [sys.executable, "-m", "monitor", *verb, "--config", "monitor.yaml", "--json"],
            cwd=one.folder, env=one.environment(), capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        one.note(f"cli {' '.join(verb)}", shown.stdout + shown.stderr)


def outcome(folder: Path, plant: str = "") -> list[str]:
    """Drive a whole service and return what leaked."""
    secrets = canaries(NAMES)
    with outside(secrets["supplier_goods"], secrets["rude_answer"]) as world:
        one = Run(folder, world, secrets)
        one.write_files()
        (folder / "units.txt").write_text(f"{secrets['pool_key']}\n", encoding="ascii")
        imported = subprocess.run(
            [sys.executable, "-m", "monitor", "stock", "import", "units.txt", "--sku", "gold",
             "--config", "monitor.yaml", "--json"],
            cwd=folder, env=one.environment(), capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        one.note("cli stock import", imported.stdout + imported.stderr)
        with served(one, plant), listening_to_the_stream(one):
            drive(one)
            look(one)
        collect(one)
    outputs = [
        "log", "stream", "sent to /hook", "sent to /v1/traces", "file monitor.db", "GET /metrics",
        "GET /", "cli doctor",
    ]  # fmt: skip
    missing = [name for name in outputs if not one.outputs.get(name)]
    assert not missing, sorted(one.outputs)
    return one.leaks()


def test_no_secret_comes_out_anywhere(tmp_path: Path) -> None:
    """Logs, metrics, traces, API, pages, stream, files, messages, verbs: none of 26 secrets."""
    assert outcome(tmp_path) == []


PLANTED = """
import logging
from monitor.adapters import http_client, pepper

real = http_client.HttpClient.request

async def request(self, method, url, **options):
    logging.getLogger("monitor.leak").info("sent", extra={"fields": {"url": url}})
    return await real(self, method, url, **options)

http_client.HttpClient.request = request
pepper.Pepper.name = lambda self, customer: customer
"""


def test_planted_leaks_are_found(tmp_path: Path) -> None:
    """A URL in the log and a buyer as the shop names him are seen, in log and files."""
    found = outcome(tmp_path, PLANTED)
    assert "robot_token in log" in found
    assert any(one.startswith("customer in file monitor.db") for one in found)
