"""Attacks on the whole service: each file holds one kind, and shows that it would notice."""
