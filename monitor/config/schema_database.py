"""The part of `monitor.yaml` that says where somebody else keeps orders."""

from __future__ import annotations

from monitor.config.values import ConfigModel, Text


class Place(ConfigModel):
    """A database we read: `mysql://user@host/name`, `postgresql://…`, `sqlite:///file`."""

    url: Text
    password: Text | None = None
    password_file: Text | None = None
