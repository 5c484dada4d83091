"""The kinds of things that are given up when there is too much of them, for counting."""

from __future__ import annotations

TRACES = "traces"  # spans of orders
SIGNALS = "signals"  # "numbers moved", to the readers of a stream
PAGES = "pages"  # pages and lists
EVENTS = "events"  # requests with events, none of which is an outcome
UNREAD = "unread"  # requests with events, before their body was read
QUOTA = "quota"  # requests with events of a source that sends too many
CONNECTIONS = "connections"
MESSAGES = "messages"  # signed messages, while as many are known as memory holds

SHED = (TRACES, SIGNALS, PAGES, EVENTS, UNREAD, QUOTA, CONNECTIONS, MESSAGES)
