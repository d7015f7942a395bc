"""Cameras that send far more images than can be used."""

from collections import deque
from collections.abc import Mapping

# The last seconds that are looked at, and how many images have to have come in them to say something.
_WINDOW = 5.0
_FEWEST = 50
# At least this share of what comes has to be used.
_LEAST_SHARE = 0.1


class Pace:
    """Times are seconds of the steady clock."""

    def __init__(self):
        self._counts: deque[tuple[float, dict[str, int]]] = deque()

    def update(self, now: float, received: Mapping[str, int], pairs: int, taken: int) -> dict[str, str]:
        """
        Return by camera what to say of one that sends too much.

        received: images by camera so far. pairs: so far. taken: of them, those that there was time for.
        """
        counts = {**received, 'pairs': pairs, 'taken': taken}
        if not self._counts or now - self._counts[-1][0] >= _WINDOW / 10:
            self._counts.append((now, counts))
        while len(self._counts) > 2 and now - self._counts[1][0] >= _WINDOW:
            self._counts.popleft()
        begin, before = self._counts[0]
        seconds = now - begin
        if seconds < _WINDOW:
            return {}
        new = {key: count - before[key] for key, count in counts.items()}
        if not new['pairs']:  # why there is none is said elsewhere
            return {}
        rates = {key: count / seconds for key, count in new.items()}
        said = {}
        for camera in received:
            if new[camera] < max(_FEWEST, new['taken'] / _LEAST_SHARE):
                continue
            begins = f'{rates[camera]:.0f} images/s come, {rates["taken"]:.1f} are used: '
            slowest = min(rates[other] for other in received)
            if rates['taken'] < _LEAST_SHARE * rates['pairs']:
                said[camera] = (
                    f'{begins}there is no time for more; lower its rate or size, or choose a faster preset '
                    'or a GPU'
                )
            elif slowest < rates[camera] / 2:  # else their stamps do not fit, which is told elsewhere
                said[camera] = f'{begins}lower its rate; the other camera sends {slowest:.0f}'
        return said
