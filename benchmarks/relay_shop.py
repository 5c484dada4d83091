"""A shop in a process of its own, to be killed: it writes down each order, then says success.

Usage: python -m benchmarks.relay_shop PORT FILE
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

ORDER = re.compile(rb"[?&]out_trade_no=([^&\s]+)")
SUCCESS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"
    b"success"
)


class Counter(asyncio.Protocol):
    """Handles one request: written down before it is answered, as a shop's commit is."""

    file = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.head = b""

    def data_received(self, data: bytes) -> None:
        self.head += data
        if b"\r\n\r\n" not in self.head:
            return
        found = ORDER.search(self.head)
        if found is not None:
            os.write(self.file, found[1] + b"\n")
        self.transport.write(SUCCESS)
        self.transport.close()


async def main(port: int, path: Path) -> None:
    Counter.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    server = await asyncio.get_running_loop().create_server(
        Counter, "127.0.0.1", port, reuse_address=True, backlog=1_024
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
