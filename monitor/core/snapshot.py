"""The whole engine as one value: plain data, encoded so that equal states give equal bytes."""

from __future__ import annotations

import msgspec

from monitor.core.control import ControlSnapshot, Measured
from monitor.core.orders.shard_snapshot import ShardSnapshot
from monitor.core.playbooks.response import ResponseSnapshot
from monitor.core.takeover.limits import Spending
from monitor.core.takeover.pace import ChannelPace
from monitor.model.batches import Batch


class Snapshot(msgspec.Struct, frozen=True):
    """The state of shard, control and takeover desk; `measured` is what no log leads to."""

    shard: ShardSnapshot
    control: ControlSnapshot
    spending: Spending
    latest_ms: int
    measured: Measured = Measured()
    paces: dict[str, ChannelPace] = {}
    response: ResponseSnapshot = ResponseSnapshot()
    batches: list[Batch] = []


snapshot_encoder = msgspec.json.Encoder(order="deterministic")
snapshot_decoder = msgspec.json.Decoder(Snapshot)
