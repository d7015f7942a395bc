"""The files that a bag is stored in: mcap and sqlite3, whole or damaged."""
