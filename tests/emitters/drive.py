"""Does what standard input says with the emitter, and answers a line per step."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "emitters"))

from delivery_monitor import DeliveryMonitor  # type: ignore[import-not-found]  # by its path

monitor = DeliveryMonitor(**json.loads(sys.stdin.readline()))
for line in sys.stdin:
    verb, given = json.loads(line)
    fields = given.pop() if given and isinstance(given[-1], dict) else {}
    print(json.dumps(getattr(monitor, verb)(*given, **fields)), flush=True)
