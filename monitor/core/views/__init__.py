"""Read-only answers about the engine's state, for the API, the page and the command line.

Nothing here changes anything; times are RFC 3339 and durations seconds, as the contract has them.
"""
