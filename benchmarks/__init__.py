"""Measurements of speed and of statistical quality; `make bench` runs them all."""
