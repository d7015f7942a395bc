"""Watches a running node for what its user should be told: why there is no pair, what is dropped and why."""

import re
from collections import Counter

from irvis_fusion_ros.pairing import Pairing
from irvis_fusion_ros.ros.camera import Camera
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.pace import Pace
from irvis_fusion_ros.ros.reasons import STAMP_CAUSES, Situation, no_pair
from irvis_fusion_ros.ros.rivals import Rivals
from irvis_fusion_ros.ros.worker import Worker

REPEAT = 30.0  # seconds between two warnings that there is no pair, for the same reason


class Watch:
    """Times are seconds of the steady clock."""

    def __init__(
        self, cameras: dict[str, Camera], pairing: Pairing, worker: Worker, rivals: Rivals, steady: float
    ):
        self._cameras = cameras
        self._pairing = pairing
        self._worker = worker
        self._rivals = rivals
        self._pace = Pace()
        self._new = Added()
        self._since = steady
        self._pairs = 0
        self._pair_time = steady
        self._at_last_pair = {name: self._counts(name) for name in cameras}
        self._warned: tuple[float, str] | None = None
        self.paused = False

    def pause(self) -> None:
        """The cameras are not listened to: that nothing comes is no fault."""
        self.paused = True

    def resume(self, steady: float) -> None:
        """The cameras are listened to again."""
        self.paused = False
        self._since = self._pair_time = steady

    def silent_for(self, camera: str, steady: float) -> float:
        """Return how long no usable image has come from a camera."""
        return steady - max(self._pairing.arrivals[camera], self._since)

    def stalled_for(self, steady: float) -> float:
        """Return how long there has been no pair."""
        pairs = self._pairing.counts['visible']['paired']
        if pairs != self._pairs:
            self._pairs, self._pair_time, self._warned = pairs, steady, None
            self._at_last_pair = {name: self._counts(name) for name in self._cameras}
        return steady - self._pair_time

    def no_pair(self, steady: float, config: NodeConfig) -> str:
        """Say why there is no pair."""
        reason = no_pair(
            [self._situation(name) for name in self._cameras],
            lag=self._pairing.lag(),
            miss=self._pairing.miss(),
            tolerance=config.sync.tolerance,
            offset=config.sync.thermal_offset,
            timeout=config.sync.timeout,
        )
        return f'no pair for {self.stalled_for(steady):.0f} s: {reason}'

    def too_much(self, steady: float) -> dict[str, str]:
        """Return what to say of each camera that sends far more than is used."""
        received = {name: camera.counts['received'] for name, camera in self._cameras.items()}
        counts = Counter(self._worker.counts)
        taken = counts['submitted'] - sum(counts[cause] for cause in ('superseded', 'too_old', 'overflow'))
        return self._pace.update(steady, received, self._pairing.counts['visible']['paired'], taken)

    def mixed(self) -> dict[str, str]:
        """Return what to say of each camera whose topic has several publishers that send at once."""
        return {name: text for name, camera in self._cameras.items() if (text := camera.image.mixed())}

    def rivals(self, steady: float) -> str:
        """Return what to say of other nodes that publish our outputs, or ''."""
        return self._rivals.found(steady)

    def warnings(self, steady: float) -> list[tuple[str, str]]:
        """Return what is to say of images that were dropped or that mix with others, with a key for each."""
        said = [(f'{name} mixed', text) for name, text in self.mixed().items()]
        for name, text in self.too_much(steady).items():
            said.append((f'{name} too much', f'{self._cameras[name].image.topic}: {text}'))
        rivals = self.rivals(steady)
        if rivals:
            said.append(('rivals', rivals))
        for name, camera in self._cameras.items():
            new = self._new(name, self._pairing.counts[name])
            for cause in STAMP_CAUSES.keys() & new.keys():
                text = f'{camera.image.topic}: {new[cause]} images dropped, {STAMP_CAUSES[cause]}'
                said.append((f'{name} {cause}', text))
        if self._new('jumps', Counter(jumps=self._pairing.jumps)):
            said.append(('jump', 'the stamps went back (a bag loop?): pairing and alignment begin anew'))
        overflow = self._new('worker', self._worker.counts)['overflow']
        if overflow:
            remedy = 'play the bag more slowly, or raise every_frame.max_queue_bytes'
            said.append(('overflow', f'{overflow} pairs dropped, too many wait to be fused: {remedy}'))
        return said

    def no_pair_warning(self, steady: float, config: NodeConfig) -> str | None:
        """Return why there is no pair, when it is time to log that, else None."""
        patience = config.diagnostics.no_pair_after
        if self.paused or self.stalled_for(steady) < patience:
            return None
        if self._warned and steady - self._warned[0] < patience:
            return None
        text = self.no_pair(steady, config)
        kind = re.sub(r'[\d.]+', '', text)  # the same reason with other numbers is no news
        if self._warned and self._warned[1] == kind and steady - self._warned[0] < REPEAT:
            return None
        self._warned = (steady, kind)
        return text

    def _situation(self, name: str) -> Situation:
        camera = self._cameras[name]
        counts = self._counts(name) - self._at_last_pair[name]
        received = counts.pop('received', 0)
        lost = counts.pop('lost', 0)
        other_topic, other_transport = camera.published_elsewhere()
        return Situation(
            name,
            camera.image.topic,
            camera.image.publishers,
            received,
            lost=lost,
            refused=counts,
            last_refusal=camera.last_refusal,
            incompatible=camera.image.incompatible,
            foreign_types=camera.image.foreign_types,
            other_topic=other_topic,
            other_transport=other_transport,
        )

    def _counts(self, name: str) -> Counter:
        """Messages received, and what made images of this camera useless."""
        camera, by_pairing = self._cameras[name], self._pairing.counts[name]
        by_stamp = Counter({cause: by_pairing[cause] for cause in STAMP_CAUSES})
        return Counter(camera.counts) + by_stamp + Counter(lost=camera.image.lost)


class Added:
    """What was added to some counts since they were looked at last."""

    def __init__(self):
        self._before: dict[str, Counter] = {}

    def __call__(self, key: str, counts: Counter) -> Counter:
        """Return the difference, and remember the counts under `key`."""
        counts = Counter(counts)  # another thread may go on counting
        added = counts - self._before.get(key, Counter())
        self._before[key] = counts
        return added
