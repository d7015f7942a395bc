"""The one geometry of the project: transforms, deformations, warps (see docs/geometry.md)."""
