"""Container health: exit 0 while the service answers /livez."""

import sys
import urllib.error
import urllib.request

LIVEZ = "http://127.0.0.1:8080/livez"
TIMEOUT_S = 2.0


def is_alive(url: str) -> bool:
    """Whether the service answers 200; a refusal, a time-out and any other status are a no."""
    # An empty table of proxies: the container's proxy settings are not for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(LIVEZ) else 1)
