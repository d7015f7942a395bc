"""Frozen fusion networks: what registration is grafted on."""
