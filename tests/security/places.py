"""Where no request may lead: a corpus of URLs, and every way to write one address.

Source of the forms: WHATWG URL host parser, inet_aton(3), RFC 4291, 6052, 3056, 4380, 8215, and the
metadata addresses in the documentation of the large clouds.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

# `{port}` becomes the port of a real listener on 127.0.0.1 and ::1.
LITERALS = (
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.000.000.001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f.0x0.0x0.0x1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0X7F.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.00.00.0x1:{port}/",
    "http://2130706433:{port}/",
    "http://02130706433:{port}/",
    "http://4294967297:{port}/",
    "http://127.255.255.254:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0x0:{port}/",
    "http://[::]:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/",
    "http://[::0001]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::FFFF:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::7f00:1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2002:7f00:0001::1]:{port}/",
    "http://[2001:0:7f00:1::1]:{port}/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://127｡0｡0｡1:{port}/",
    "http://１２７.０.０.１:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://ｌｏｃａｌｈｏｓｔ:{port}/",
    "http://loc\u00adalhost:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:pass@127.0.0.1:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://public.example:80@127.0.0.1:{port}/",
    "http://public.example%40127.0.0.1:{port}/",
    "http://public.example#@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.example/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\n:{port}/",
    " http://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http:/\\127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fd20:ce::254]/computeMetadata/v1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://192.0.0.192/latest/meta-data/",
    "http://168.63.129.16/machine?comp=goalstate",
    "http://10.0.0.1/",
    "http://10.1/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.0.1/",
    "http://192.168.257/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://169.254.1.1/",
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250:1900/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[2001:10::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
    "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "dict://127.0.0.1:{port}/stat",
)

# What a name may answer, on one look-up after the other; the last answer repeats.
ANSWERS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("127.0.0.1",),),
    (("::1",),),
    (("0.0.0.0",),),
    (("::ffff:127.0.0.1",),),
    (("64:ff9b::7f00:1",),),
    (("169.254.169.254",),),
    (("10.0.0.1", "127.0.0.1"),),
    (("::1", "127.0.0.1"),),
    (("127.0.0.1", "192.168.0.1", "::1"),),
)

PRIVATE = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/29", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip


def spellings(address: ipaddress.IPv4Address) -> Iterator[str]:
    """Yield ways to write an IPv4 address as the host of a URL."""
    number, parts = int(address), address.packed
    a, b, c, d = parts
    yield str(address)
    yield f"{address}."
    yield str(number)
    yield hex(number)
    yield f"0{number:o}"
    yield ".".join(f"{part:#x}" for part in parts)
    yield ".".join(f"0{part:o}" for part in parts)
    yield ".".join(f"{part:03d}" for part in parts)
    yield f"{a}.{number & 0xFFFFFF}"
    yield f"{a}.{b}.{number & 0xFFFF}"
    yield f"{a:#x}.{b}.0{c:o}.{d:#X}"
    yield "。".join(str(part) for part in parts)
    yield "".join(chr(ord(one) + 0xFEE0) if one.isdigit() else one for one in str(address))
    yield "%2e".join(str(part) for part in parts)
    high, low = number >> 16, number & 0xFFFF
    for prefix in ("::ffff:", "::ffff:0:", "::", "64:ff9b::", "64:ff9b:1::"):
        yield f"[{prefix}{address}]"
        yield f"[{prefix}{high:X}:{low:x}]"
    yield f"[2002:{high:x}:{low:x}::]"
    yield f"[2002:{high:04x}:{low:04X}:1::7]"
    yield f"[2001:0:{high:x}:{low:x}::]"  # Teredo server
    client = number ^ 0xFFFFFFFF
    yield f"[2001::{client >> 16:x}:{client & 0xFFFF:x}]"  # Teredo client
