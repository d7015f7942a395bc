"""A brute-force ray tracer, to check the fast one by."""

import numpy as np


def trace(corners, origin, direction):
    """Nearest front face along a ray (Moeller and Trumbore, 1997), each polygon as two triangles."""
    nearest = np.inf
    for b, c in ((1, 2), (2, 3)):
        one, two = corners[:, b] - corners[:, 0], corners[:, c] - corners[:, 0]
        across = np.cross(direction, two)
        determinant = (one * across).sum(1)
        # corners go clockwise as seen from outside; degenerate halves of triangles have determinant 0
        front = determinant < -1e-12
        scale = 1 / np.where(front, determinant, 1)
        away = origin - corners[:, 0]
        u = (away * across).sum(1) * scale
        third = np.cross(away, one)
        v = third @ direction * scale
        distance = (two * third).sum(1) * scale
        hit = front & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
        if hit.any():
            nearest = min(nearest, distance[hit].min())
    return nearest
