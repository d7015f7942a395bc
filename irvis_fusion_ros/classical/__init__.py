"""The NumPy method: registration by structure maps, and fusion, without weights."""
