"""How far sources are believed: a dead emitter looks exactly like a dead channel."""

from __future__ import annotations

import msgspec

from monitor.core.signals.arrays import BoolArray, IntArray


class Heard(msgspec.Struct, frozen=True, eq=False):
    """What the silence of each source means, int64[sources], UTC ms, by the code of the rows.

    `believed_ms`: an order that became slow after this proves nothing against its channel; 0 while
    the source is silent. `quiet_ms`: up to here its silence is nothing unusual, and a delivery it
    did not tell of is missing. `held_ms`: the same for orders that are held or unconfirmed, from
    before the silence; 0 if they are held for another reason. `speaks` bool[sources]: its silence,
    if any, is nothing unusual.
    """

    believed_ms: IntArray
    quiet_ms: IntArray
    held_ms: IntArray
    speaks: BoolArray
