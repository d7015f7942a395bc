"""Executables that work on bags and files."""
