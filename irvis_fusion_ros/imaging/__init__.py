"""Tone (gain control of the thermal image) and colour (visible luminance and chroma)."""
