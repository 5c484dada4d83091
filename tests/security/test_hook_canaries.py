"""A card secret in every request of every sender, and it comes out nowhere.

A real process takes what `tests/planted.py` sends, well signed, badly signed and broken; then all that
it answered, wrote and sent is searched.
"""

import json
import time
from pathlib import Path

from monitor.adapters.shops import PUSHES
from monitor.api.routes import ROUTES
from tests.e2e.serving import ENVIRONMENT, run
from tests.planted import PLANTED, Sender
from tests.security.canaries import canaries
from tests.security.outside import Outside, outside
from tests.security.test_canaries import Run, served

KINDS = tuple(sender.kind for sender in PLANTED)
CONFIG = """
language: en
timezone: UTC
data_dir: data
promise: {{default: 3s}}
tiers: {{l1_after: promise, l2_after: 4s, l3_after: 5s}}
sources:
{sources}
webhooks: [{{url: "{url}/hook", types: ["*"]}}]
notify:
  route: {{receiver: ops}}
  receivers: [{{name: ops, webhook: [{{url: "{url}/receiver"}}]}}]
telemetry: {{otlp: {{endpoint: "{url}", traces: true, metrics: true}}}}
"""
SOURCE = "  - {{name: {kind}, kind: {kind}, secret_file: {kind}.secret}}"


class Hooked(Run):
    """A service that listens to every kind of sender."""

    def write_files(self) -> None:
        sources = [SOURCE.format(kind=sender.kind) for sender in PLANTED]
        for sender in PLANTED:
            path = self.folder / f"{sender.kind}.secret"
            path.write_text(sender.secret, encoding="utf-8")
            path.chmod(0o600)
        text = CONFIG.format(url=self.world.url, sources="\n".join(sources))
        (self.folder / "monitor.yaml").write_text(text, encoding="utf-8")

    def environment(self) -> dict[str, str]:
        return ENVIRONMENT

    def send(self, sender: Sender) -> None:
        """Its requests as they are, again, with another signature, and cut off."""
        card = self.secrets[sender.kind]
        path = f"/hooks/{sender.kind}"
        for body, headers, query in sender.sent(card, int(time.time())):
            target = f"{path}?{query}" if query else path
            for _ in range(2):
                status, answer = self.ask("POST", target, body, **headers)
                assert status == 200, (sender.kind, status, answer)
            if sender.is_signed:
                assert self.ask("POST", target, body + b" ", **headers)[0] == 401
            else:
                assert self.ask("POST", f"{path}?{card}", body, **headers)[0] == 401
            assert self.ask("POST", f"/hooks/{card}", body, **headers)[0] == 404
            assert self.ask("PUT", target, body, **headers)[0] == 405
        self.ask("GET", f"{path}?{card}", X_Card=card)

    def look(self) -> None:
        """Everything there is to see."""
        token = (self.folder / "data" / "admin.token").read_text(encoding="ascii").strip()
        bearer = f"Bearer {token}"
        listed = json.loads(self.ask("GET", "/v1/orders?limit=100", Authorization=bearer)[1])
        orders = [one["order_id"] for one in listed["orders"]]
        plain = [one.path for one in ROUTES if one.method == "GET" and "{" not in one.path]
        paths = [*plain, "/", "/?lang=zh-CN", "/readyz?verbose"]
        paths += [f"/v1/orders/{order}" for order in ("963", "450789469", "S1", "7", "W1", *orders)]
        for path in paths:
            if path != "/v1/stream":
                self.ask("GET", path, Authorization=bearer)

    def collect(self) -> None:
        """Files and messages."""
        own = {"admin.token", "goods.key", "pepper"}
        for path in (self.folder / "data").rglob("*"):
            if path.is_file() and path.name not in own:
                self.note(f"file {path.name}", path.read_bytes())
        for path_sent, bodies in self.world.bodies.items():
            self.note(f"sent to {path_sent}", b"\n".join(bodies))

    def diagnose(self) -> None:
        """The verb that looks at everything."""
        shown = run(self.folder, "doctor", "--config", "monitor.yaml", "--json")
        self.note("cli doctor", (shown.stdout + shown.stderr).encode())


def outcome(folder: Path, plant: str = "") -> list[str]:
    """Let every sender send, and say what leaked; with a planted bug it need not go far."""
    with outside("", "") as world:
        one = Hooked(folder, world, canaries(KINDS))
        one.write_files()
        with served(one, plant):
            for sender in PLANTED:
                one.send(sender)
            if not plant:
                wait_for_all(world)
            one.look()
        one.collect()
        if not plant:
            one.diagnose()
    log = one.outputs["file monitor.db"]
    assert b"450789469" in log
    assert one.outputs["GET /metrics"]
    return one.leaks()


def wait_for_all(world: Outside) -> None:
    """Until late orders were told, and spans of delivered ones were sent."""
    for path in ("/hook", "/receiver", "/v1/traces", "/v1/metrics"):
        world.wait_for(path)


def test_no_card_comes_out_of_any_hook(tmp_path: Path) -> None:
    """Database, log, metrics, traces, pages, answers, messages: none, in no encoding."""
    assert set(KINDS) == set(PUSHES)
    assert outcome(tmp_path) == []


PLANTED_BUG = """
import msgspec
from monitor.adapters.shops import lemonsqueezy

def delivered(self, order_id, when, received_ms, goods, **attributes):
    return self.event(lemonsqueezy.EventType.DELIVERED, order_id, when, received_ms, channel=goods)

from monitor.adapters.shops import facts
facts.Facts.delivered = delivered
"""


def test_card_that_is_kept_is_found(tmp_path: Path) -> None:
    """An adapter that writes the key into a field is seen in the database and on the page."""
    found = outcome(tmp_path, PLANTED_BUG)
    assert any(one.startswith("lemonsqueezy in file monitor.db") for one in found)
    assert "lemonsqueezy in GET /v1/orders/7" in found
