"""Delivery Monitor: know within a minute that buyers have paid and are not getting their goods."""

from __future__ import annotations

__version__ = "0.1.0"
