"""Thin ways in and out: each takes a caller's bytes, asks, and spells the answer."""
