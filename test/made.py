"""Training items of made-up pairs."""

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.training.data.pack import Item


def item(seed, part='train', shape=(150, 201)):
    """Return an item of a scene of its own."""
    thermal, visible = pair(shape, seed)
    return Item(f'made/{seed}', f'made/{seed}', part, thermal, visible[..., 1].copy())
