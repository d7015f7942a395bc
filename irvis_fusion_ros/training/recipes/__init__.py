"""Recipes: how each system is trained, with its network, its stages and its losses."""
