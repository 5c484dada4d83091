"""Where a shop's database is, as an operator writes it.

    mysql://reader@127.0.0.1:3306/shop              MySQL, MariaDB
    mysql://reader@localhost/shop?socket=/run/mysqld/mysqld.sock
    postgresql://reader@127.0.0.1:5432/shop
    sqlite:///var/lib/shop/shop.db                  a path on this machine

The password stands in a file of its own: an address is shown in messages.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from monitor.model.errors import InputError

MYSQL, POSTGRESQL, SQLITE = "mysql", "postgresql", "sqlite"
_SCHEMES = {
    "mysql": MYSQL, "mariadb": MYSQL, "postgresql": POSTGRESQL, "postgres": POSTGRESQL,
    "sqlite": SQLITE,
}  # fmt: skip
_PORTS = {MYSQL: 3306, POSTGRESQL: 5432}


class Place(msgspec.Struct, frozen=True):
    """A database: `name` is that of the database, or the path of its file."""

    engine: str
    name: str
    user: str = ""
    host: str = ""
    port: int = 0
    socket: str | None = None

    def __str__(self) -> str:
        """Without anything secret."""
        if self.engine == SQLITE:
            return self.name
        return f"{self.name} at {self.socket or f'{self.host}:{self.port}'}"


def parse_url(url: str) -> Place:
    """Read the address of a database.

    Raises: InputError saying what is wrong with it, without quoting it: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _wrong("is no address of a database") from None
    engine = _SCHEMES.get(parts.scheme)
    if engine is None:
        raise _wrong("is no address of a database that can be read")
    if parts.password is not None:
        raise InputError(
            "has a password in it",
            hint="write the password into a file and name it as database.password_file",
        )
    if engine == SQLITE:
        return _file(parts.netloc, unquote(parts.path))
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise _wrong("names no database")
    if not parts.username:
        raise _wrong("names no user")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    socket = options.pop("socket", None)
    if options or parts.fragment:
        raise _wrong("has something after the name of the database that is not understood")
    host = parts.hostname or "127.0.0.1"
    return Place(engine, name, unquote(parts.username), host, port or _PORTS[engine], socket)


def _file(netloc: str, path: str) -> Place:
    if netloc or not path.strip("/"):
        raise _wrong("names no file: three slashes come before an absolute path")
    return Place(SQLITE, path)


def _wrong(what: str) -> InputError:
    return InputError(
        what,
        hint="write mysql://user@host:3306/name, postgresql://user@host:5432/name or "
        "sqlite:///path/of/file.db",
    )
