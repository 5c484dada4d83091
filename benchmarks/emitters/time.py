"""How long each emit holds its thread, in ms."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "emitters"))

from delivery_monitor import DeliveryMonitor  # type: ignore[import-not-found]  # by its path

monitor = DeliveryMonitor(**json.loads(sys.argv[1]))
took = []
for number in range(int(sys.argv[2])):
    began = time.perf_counter()
    monitor.emit("order.paid", f"python {number}", channel="auto", amount_minor=990)
    took.append((time.perf_counter() - began) * 1e3)
    time.sleep(0.002)
print(json.dumps(took))
