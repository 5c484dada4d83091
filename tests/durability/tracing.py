"""Whether a process may be traced here: syscalls are made to fail by strace."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache


@cache
def why_not() -> str | None:
    """The reason to skip what needs strace; None when it works."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "this machine does not let strace trace a process"
