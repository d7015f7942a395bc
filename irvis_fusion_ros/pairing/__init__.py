"""
Pairs thermal and visible images: nearest stamps, one to one, in order, with every drop counted.

It does not depend on ROS: stamps are integers in nanoseconds, payloads are opaque.

    pairing = NearestPairing(on_pair, tolerance=0.02)
    pairing.put('thermal', stamp, image, arrival=time.monotonic())
    pairing.put('visible', stamp, image, arrival=time.monotonic())

The result is a stable matching that keeps the order, see `matching`: no two images within the tolerance that
could be a pair beside the others are nearer to each other than both are to their partners. A pair is sent as
soon as no later image can change it: because later images have arrived or, with `eager`, because the next one
cannot arrive so soon. What was sent or dropped already when an image arrives, because it was overtaken by
later ones of its camera on the way, stays as it is.
"""

from irvis_fusion_ros.pairing.nearest import NearestPairing
from irvis_fusion_ros.pairing.pair import DROP_CAUSES, JUMP, NANO, OTHER, STREAMS, Pair, Pairing

__all__ = ['DROP_CAUSES', 'JUMP', 'NANO', 'OTHER', 'STREAMS', 'NearestPairing', 'Pair', 'Pairing']
