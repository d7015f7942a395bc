"""How each system is trained: its network, its stages, and what it is taught in each."""
