"""Protocols, metrics and data sets for measuring registration and fusion."""
