"""The container parts: first-start key, health probe, hardened services, valid configurations."""

import importlib.util
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = sorted(COMPOSE["services"])
EXACT_VERSION = re.compile(r":v?\d+\.\d+\.\d+(-[a-z.]+)*$")


def load(path: str) -> ModuleType:
    """Import a script that is not part of the package."""
    spec = importlib.util.spec_from_file_location("script", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_tool(name: str, *arguments: str) -> str:
    """Run a checker of the Prometheus project; skipped without it, which CI does not allow."""
    if (tool := shutil.which(name)) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [tool, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=[200, 503])
def livez(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """A loopback service that answers /livez with the status of the parameter."""

    class Livez(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Livez) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/livez", request.param
        server.shutdown()
        thread.join()


def test_first_start_writes_a_private_key_and_the_second_keeps_it(tmp_path: Path) -> None:
    """A restart of the container must not lock the shop out."""
    entrypoint = load("docker/entrypoint.py")
    key_file = tmp_path / "keys" / "shop.key"
    assert entrypoint.ensure_key(key_file) is True
    first = key_file.read_text(encoding="ascii")
    assert re.fullmatch(r"dm_[A-Za-z0-9_-]{43}\n", first)  # 32 bytes are 43 base64 characters
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    assert entrypoint.ensure_key(key_file) is False
    assert key_file.read_text(encoding="ascii") == first
    assert [path.name for path in key_file.parent.iterdir()] == ["shop.key"]


def test_two_volumes_get_different_keys(tmp_path: Path) -> None:
    """The key is made, not shipped."""
    entrypoint = load("docker/entrypoint.py")
    for name in ("a", "b"):
        entrypoint.ensure_key(tmp_path / name)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_health_probe_says_yes_to_200_only(livez: tuple[str, int]) -> None:
    """A service that answers 503 is not alive."""
    url, status = livez
    assert load("docker/healthcheck.py").is_alive(url) is (status == 200)


def test_health_probe_says_no_when_nobody_listens() -> None:
    """A refused connection is a no, not a traceback; port 1 has no listener."""
    assert load("docker/healthcheck.py").is_alive("http://127.0.0.1:1/livez") is False


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_hardened(service: str) -> None:
    """Read-only root, no capabilities, no new privileges, and /tmp in memory."""
    settings = COMPOSE["services"][service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp:") for mount in settings["tmpfs"])


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_published_on_loopback_only(service: str) -> None:
    """Nothing of the set is offered to the network before somebody decides so."""
    for port in COMPOSE["services"][service].get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("service", SERVICES)
def test_image_is_pinned_by_version(service: str) -> None:
    """An image without an exact version changes under the user."""
    assert EXACT_VERSION.search(COMPOSE["services"][service]["image"])


def test_base_image_is_pinned_by_version_and_not_root() -> None:
    """The Dockerfile pins its base and runs as 65532."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    base = next(line for line in lines if line.startswith("ARG PYTHON_IMAGE="))
    assert EXACT_VERSION.search(base)
    assert [line for line in lines if line.startswith("USER")] == ["USER 65532:65532"]


@pytest.mark.parametrize("service", SERVICES)
def test_mounted_files_exist(service: str) -> None:
    """Docker makes an empty directory of a bind mount whose source is missing."""
    mounts = [m for m in COMPOSE["services"][service].get("volumes", []) if m.startswith("./")]
    assert [m for m in mounts if not (ROOT / m.split(":")[0]).exists()] == []


def test_key_file_is_the_one_the_configurations_name() -> None:
    """The entry point writes the key where the service will look for it."""
    entrypoint = load("docker/entrypoint.py")
    for name in ("monitor.yaml", "monitor-compose.yaml"):
        text = (ROOT / "docker" / name).read_text(encoding="utf-8")
        sources = yaml.safe_load(text)["sources"]
        assert [source["api_key_file"] for source in sources] == [str(entrypoint.KEY_FILE)]


def test_prometheus_accepts_its_configuration() -> None:
    """`promtool` reads the scrape configuration and the two rules about the monitor itself."""
    output = run_tool("promtool", "check", "config", "docker/prometheus.yml")
    assert "2 rules found" in output


def test_alertmanager_accepts_its_configuration() -> None:
    """`amtool` reads the routing tree."""
    output = run_tool("amtool", "check-config", "docker/alertmanager.yml")
    assert "SUCCESS" in output
