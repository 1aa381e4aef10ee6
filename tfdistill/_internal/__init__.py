"""Helpers for all folders; no user needs them."""
