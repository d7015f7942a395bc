"""From image pairs to batches moved by known warps."""
