"""`rules explain` against a running service: now from memory, the past from its log."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.e2e.serving import run, serve

RULES = """
groups:
  - name: g
    rules:
      - {alert: Waiting, expr: "open_orders > 2", by: [channel]}
"""


def events(count: int) -> bytes:
    """Orders paid a second ago that wait."""
    at = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    lines = [
        {"type": "order.paid", "order_id": f"A{n}", "time": at, "channel": "auto"}
        for n in range(count)
    ]
    return json.dumps(lines).encode()


def fire(url: str) -> None:
    """Send three orders and return when the stream says that an alert fires."""
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(f"{url}/v1/stream", timeout=30) as stream:
        told = urllib.request.Request(f"{url}/v1/events", events(3), headers)
        with urllib.request.urlopen(told, timeout=30) as answer:
            assert answer.status == 202
        assert any(b'"state":"firing"' in line for line in stream)


def test_running_service_explains_a_rule_now_and_in_the_past(tmp_path: Path) -> None:
    """Three orders wait: the rule fires; what the log says of then agrees, also after a restart."""
    (tmp_path / "r.yaml").write_text(RULES, encoding="utf-8")
    explain = ["rules", "explain", "Waiting"]
    with serve(tmp_path, "--rules", "r.yaml") as served:
        fire(served.url)
        url = ["--url", served.url]
        shown = run(tmp_path, *explain, "--label", "channel=auto", *url)
        assert shown.returncode == 0, shown.stderr
        assert "channel=auto: firing since " in shown.stdout
        assert "yes open_orders > 2: is 3, n 3 (threshold)" in shown.stdout
        wrong = run(tmp_path, "rules", "explain", "Waitin", *url)
        assert wrong.returncode == 1
        assert wrong.stderr == "error: no rule is called 'Waitin'; did you mean 'Waiting'?\n"
        now = json.loads(run(tmp_path, *explain, "--json", *url).stdout)
        assert served.stop() == 0
    with serve(tmp_path, "--rules", "r.yaml") as served:
        past = run(tmp_path, *explain, "--json", "--at", now["at"], "--url", served.url)
        (then,) = json.loads(past.stdout)["instances"]
        assert then["state"] == "firing"
        assert then["recorded_at"] == now["instances"][0]["since"]
        early = run(tmp_path, *explain, "--at", "2020-01-05T02:00:00Z", "--url", served.url)
        assert (early.returncode, early.stdout) == (1, "")
        assert early.stderr.startswith("error: at is before the log begins; play the events")
