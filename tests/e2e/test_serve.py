"""The service as a process: it keeps what it acknowledged, stops in order, and takes no bad file."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import Served, run, serve

CONFIG = """promise: {{default: {promise}}}
notify:
  route: {{receiver: ops}}
  receivers:
    - name: ops
      webhook: [{{url: "http://127.0.0.1:9/x"}}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "monitor.yaml"
    path.write_text(CONFIG.format(promise="3m"), encoding="utf-8")
    return path


def emit(folder: Path, served: Served, kind: str, order: str) -> None:
    done = run(folder, "emit", kind, order, "--channel", "auto", "--url", served.url)
    assert (done.returncode, done.stdout) == (0, "accepted\n"), done.stderr


def order_of(folder: Path, served: Served, order: str) -> dict[str, Any]:
    done = run(folder, "order", order, "--json", "--url", served.url)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_acknowledged_order_is_there_after_sigterm_and_restart(tmp_path: Path) -> None:
    """SIGTERM ends with 0, and the next start knows the order and its delivery."""
    with serve(tmp_path) as served:
        emit(tmp_path, served, "paid", "A1")
        emit(tmp_path, served, "delivered", "A1")
        emit(tmp_path, served, "paid", "A2")
        assert served.stop() == 0
    with serve(tmp_path) as served:
        assert order_of(tmp_path, served, "A1")["verdict"] == "good"
        assert order_of(tmp_path, served, "A2")["verdict"] == "undecided"
        listed = run(tmp_path, "orders", "--state", "open", "--url", served.url)
        assert "A2" in listed.stdout
        assert "A1" not in listed.stdout
        unknown = run(tmp_path, "order", "A3", "--url", served.url)
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert unknown.stderr.startswith("error: ")
        assert unknown.stderr.count("\n") == 1
        served.signal(signal.SIGINT)
        assert served.process.wait(30) == 0


def test_ready_service_says_so_and_why_nobody_would_be_told(tmp_path: Path) -> None:
    """Probes answer 200, and the missing receiver is said in the log and in the verbose answer."""
    with serve(tmp_path) as served:
        assert served.get("/livez")[0] == 200
        assert served.get("/readyz")[0] == 200
        status, text = served.get("/readyz?verbose")
        assert status == 200
        assert "nobody would be told" in text


def test_bad_file_ends_with_2_and_every_place(tmp_path: Path) -> None:
    """Two mistakes are two lines file:line:col, and nothing is started."""
    (tmp_path / "monitor.yaml").write_text("language: fr\nlisten: }\n", encoding="utf-8")
    broken = run(tmp_path, "serve", "--config", "monitor.yaml")
    assert broken.returncode == 2
    assert broken.stderr.startswith("monitor.yaml:2:9 ")
    (tmp_path / "monitor.yaml").write_text("language: fr\npromis: {}\n", encoding="utf-8")
    wrong = run(tmp_path, "serve", "--config", "monitor.yaml")
    assert wrong.returncode == 2
    assert [line.split()[0] for line in wrong.stderr.splitlines()] == [
        "monitor.yaml:1:11",
        "monitor.yaml:2:1",
    ]
    assert not (tmp_path / "data").exists()


def test_second_service_on_the_same_directory_is_refused_in_one_line(tmp_path: Path) -> None:
    """The second one names the first; the first does not notice."""
    with serve(tmp_path) as served:
        second = run(tmp_path, "serve", "--listen", "127.0.0.1:0")
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"error: data directory data is in use by process {served.process.pid}; "
            "stop the other delivery-monitor, or give this one its own --data-dir\n"
        )
        assert served.get("/readyz")[0] == 200


def test_taken_port_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    """No traceback when somebody else listens there."""
    with serve(tmp_path) as served:
        place = served.url.removeprefix("http://")
        second = run(tmp_path, "serve", "--listen", place, "--data-dir", "other")
        assert second.returncode == 1
        assert "address already in use; stop the program that listens there" in second.stderr
        assert second.stderr.count("\n") == 1


def test_reload_takes_a_good_file_and_keeps_the_old_for_a_bad_one(
    tmp_path: Path, config: Path
) -> None:
    """After SIGHUP with a bad file orders get the old promise, after one with a good file the new."""
    with serve(tmp_path, "--config", str(config)) as served:
        config.write_text(CONFIG.format(promise="soon"), encoding="utf-8")
        served.signal(signal.SIGHUP)
        assert f"{config}:1:20" in served.until("reload_refused")["problem"]
        emit(tmp_path, served, "paid", "A1")
        assert order_of(tmp_path, served, "A1")["promise_s"] == 180
        config.write_text(CONFIG.format(promise="10m"), encoding="utf-8")
        served.signal(signal.SIGHUP)
        assert "promise" in served.until("reloaded")["changed"]
        emit(tmp_path, served, "paid", "A2")
        assert order_of(tmp_path, served, "A2")["promise_s"] == 600


def test_init_serve_emit_and_doctor_work_together(tmp_path: Path) -> None:
    """What init writes serves; its key sends; without it nothing is taken; doctor sees it all."""
    webhook = "webhook_url=http://127.0.0.1:9/x"
    assert run(tmp_path, "init", "--yes", "--set", webhook).returncode == 0
    with serve(tmp_path, "--config", "monitor.yaml") as served:
        anonymous = run(tmp_path, "emit", "paid", "A1", "--url", served.url)
        assert anonymous.returncode == 1
        assert anonymous.stderr.startswith("error: this needs a token with scope ingest; ")
        key = ("--key-file", "keys/main-shop.key")
        sent = run(tmp_path, "emit", "paid", "A1", "--url", served.url, *key)
        assert (sent.returncode, sent.stdout) == (0, "accepted\n"), sent.stderr
        known = run(tmp_path, "stock", "import", "-", "--sku", "s", given=b"k1\nk2\n")
        assert known.stdout == "imported 2 for s\n"
        text = (tmp_path / "monitor.yaml").read_text(encoding="utf-8")
        text = text.replace("127.0.0.1:8080", served.url.removeprefix("http://"))
        (tmp_path / "here.yaml").write_text(text, encoding="utf-8")
        looked = run(tmp_path, "doctor", "--config", "here.yaml", "--json")
        checks = {one["check"]: one for one in json.loads(looked.stdout)["checks"]}
        assert checks["service"]["found"] == f"runs as process {served.process.pid}, ready"
        assert checks["sources"]["found"].startswith("main-shop: the last event came ")
        assert checks["receivers"]["found"].startswith("ops: webhook/")
        assert looked.returncode == 0, looked.stdout
        assert served.get("/readyz")[0] == 200
        assert served.stop() == 0
