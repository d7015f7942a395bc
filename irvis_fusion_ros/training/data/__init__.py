"""From image pairs to batches displaced by known warps."""
