"""The gates of `make check` hold: a planted import or call that the rules forbid is reported."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TREE = """
__init__ __main__ app inlets outlets ports
model/__init__ core/__init__ runtime/__init__ api/__init__ web/__init__ config/__init__
sim/__init__ testing/__init__ cli/__init__
adapters/__init__ adapters/clock
adapters/channels/__init__ adapters/channels/a adapters/channels/b
adapters/gateways/__init__
adapters/notifiers/__init__ adapters/notifiers/a adapters/notifiers/b
adapters/storage/__init__ adapters/storage/a
adapters/telemetry/__init__
"""


def run_floors(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the project's contracts on a made-up tree."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def broken_contracts(report: str) -> list[str]:
    """The lines of the report that call a contract broken, each beginning with its name."""
    return [line for line in report.splitlines() if line.endswith("BROKEN")]


def run_ruff(path: str, code: str) -> str:
    """Lint one made-up file as if it stood at that path of the project."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ruff"),
            *("check", "--select=TID251", "--output-format=concise"),
            *(f"--stdin-filename={ROOT / path}", "-"),
        ],
        cwd=ROOT,
        input=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty package of the project's floors, which keeps every contract."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module in TREE.split():
        path = tmp_path / "monitor" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_tree_of_floors_keeps_every_contract(tree: Path) -> None:
    """Without a planted import nothing is reported, so each report below is of its plant."""
    done = run_floors(tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("model/x", "import monitor.core", "Floors"),
        ("ports", "import monitor.core", "Floors"),
        ("runtime/x", "import monitor.adapters.clock", "Floors"),
        ("api/x", "import monitor.web", "Floors"),
        ("app", "import monitor.cli", "Floors"),
        ("unplaced", "x = 1", "Floors"),
        ("core/x", "def f():\n    import asyncio", "Core and model are pure"),
        ("core/x", "from os import path", "Core and model are pure"),
        ("model/x", "import aiohttp.web", "Core and model are pure"),
        ("api/x", "import monitor.adapters.clock", "Concrete adapters"),
        ("adapters/channels/a", "import monitor.adapters.storage.a", "Adapters of different ports"),
        ("adapters/notifiers/a", "from monitor.adapters.notifiers import b", "Notifiers"),
        ("adapters/channels/a", "from monitor.adapters.channels import b", "Delivery channels"),
    ],
)
def test_forbidden_import_breaks_its_contract(
    tree: Path, module: str, line: str, contract: str
) -> None:
    """Each kind of import that the floors forbid breaks the contract that is there for it."""
    (tree / "monitor" / f"{module}.py").write_text(line + "\n", encoding="utf-8")
    done = run_floors(tree)
    assert done.returncode == 1
    assert any(line.startswith(contract) for line in broken_contracts(done.stdout)), done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime as dt\ndt.now()\n",
        "import datetime\ndatetime.datetime.utcnow()\n",
        "from time import time\n",
        "import time\ntime.time_ns()\n",
        "import uuid\nuuid.uuid4()\n",
        "import secrets\n",
        "import os\nos.environ['X']\n",
        "import os\nos.getenv('X')\n",
        "from asyncio import create_task\n",
        "import asyncio\nasyncio.ensure_future(f())\n",
        "import random\nrandom.shuffle(x)\n",
        "from random import randint\n",
    ],
)
def test_banned_call_is_reported_with_its_replacement(code: str) -> None:
    """Clock, ids, environment, tasks and chance each have one home; elsewhere ruff names it."""
    report = run_ruff("monitor/runtime/planted.py", code)
    assert "TID251" in report
    assert "monitor" in report.split("TID251")[1] or "random.Random" in report


@pytest.mark.parametrize(
    ("home", "code"),
    [
        ("monitor/adapters/clock.py", "import time\ntime.time_ns()\n"),
        ("monitor/adapters/ids.py", "import uuid\nuuid.uuid4()\n"),
        ("monitor/config/load.py", "import os\nos.environ['X']\n"),
        ("monitor/runtime/supervisor.py", "import asyncio\nasyncio.create_task(f())\n"),
        ("monitor/sim/workload.py", "import random\nrandom.Random(7)\n"),
    ],
)
def test_banned_call_is_allowed_in_its_home(home: str, code: str) -> None:
    """The one home of a call may use it."""
    assert "TID251" not in run_ruff(home, code)


@pytest.mark.parametrize(("in_ci", "outcome"), [("1", "1 failed, 1 xfailed"), ("0", "1 skipped")])
def test_skipped_test_fails_in_ci_only(tmp_path: Path, in_ci: str, outcome: str) -> None:
    """In CI nothing is skipped for want of a program; an expected failure is not a skip."""
    (tmp_path / "test_planted.py").write_text(
        "import pytest\n"
        "def test_needs_a_program():\n    pytest.skip('no promtool')\n"
        "@pytest.mark.xfail\ndef test_expected():\n    assert False\n",
        encoding="utf-8",
    )
    done = run_pytest(tmp_path, DELIVERY_MONITOR_CI=in_ci)
    assert outcome in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("has_data", "outcome"), [(False, "1 skipped"), (True, "1 failed")])
def test_skip_in_ci_is_forgiven_only_while_real_data_is_absent(
    tmp_path: Path, has_data: bool, outcome: str
) -> None:
    """Data without a licence does not come with the product; no other skip hides behind it."""
    if has_data:
        (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "test_planted.py").write_text(
        "import pytest\n"
        "@pytest.mark.needs_shared_data\n"
        "def test_of_real_data():\n    pytest.skip('no promtool')\n",
        encoding="utf-8",
    )
    shared = str(tmp_path / "shared")
    done = run_pytest(tmp_path, DELIVERY_MONITOR_CI="1", DELIVERY_MONITOR_SHARED=shared)
    assert outcome in done.stdout, done.stdout + done.stderr


def test_skips_fail_in_ci_in_parallel_processes_too(tmp_path: Path) -> None:
    """`make test` runs two processes: skips of tests and of files fail, and the summary is last."""
    (tmp_path / "test_one.py").write_text(
        "import pytest\ndef test_needs_a_program():\n    pytest.skip('no promtool')\n",
        encoding="utf-8",
    )
    (tmp_path / "test_whole_file.py").write_text(
        "import pytest\npytest.skip('no chromium', allow_module_level=True)\n", encoding="utf-8"
    )
    done = run_pytest(tmp_path, "-n2", "--continue-on-collection-errors", DELIVERY_MONITOR_CI="1")
    assert re.search(r"1 failed, \d errors? in ", done.stdout.splitlines()[-1]), done.stdout


def run_pytest(tests: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run planted tests under the project's conftest."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "tests.conftest", *options, tests],
        cwd=ROOT,
        env={"PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
