"""Loss terms, with their equations."""
