"""
A bag fused into another one, file by file.

After each file the state of the run is kept beside it: a run that was ended goes on behind the last file that
is whole, and what it writes is the same to the byte.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irvis_fusion_ros import __version__, memory
from irvis_fusion_ros.errors import BagError, FileError, IncompleteBagError
from irvis_fusion_ros.io import values
from irvis_fusion_ros.io.bags import CAMERA_INFO, BagReader, BagWriter, Record, header
from irvis_fusion_ros.offline.fuser import OUTPUTS, TOPIC_OF, Frame, Fuser
from irvis_fusion_ros.offline.source import PairSource, find_topics
from irvis_fusion_ros.offline.split_bag import SplitBag
from irvis_fusion_ros.pairing import STREAMS, Pair
from irvis_fusion_ros.ros import topics
from irvis_fusion_ros.ros.build import build_predictor, clock_of, with_clock
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.topics import absolute

STATE = '.fuse_bag'
IMAGE_TOPICS = {output: absolute(topic) for output, topic in TOPIC_OF.items()}
INFO_TOPICS = {'fused': absolute(topics.FUSED_INFO), 'registered': absolute(topics.REGISTERED_INFO)}


@dataclass(frozen=True)
class Task:
    """
    What is asked for.

    outputs: out of fuser.OUTPUTS. copy: topics that are copied. topics: of the cameras, where they are not
    those of the node. part_bytes: a file of the output is closed when it holds as much.
    """

    source: Path
    out: Path
    config: NodeConfig
    outputs: tuple[str, ...] = OUTPUTS
    copy: tuple[str, ...] = ()
    topics: dict[str, str | None] = field(default_factory=dict)
    storage: str = 'mcap'
    part_bytes: int = 256 << 20


class Run:
    """
    One run of a task.

    resume: go on with what an earlier run of the same task has left at `out`. say(text) is told what the user
    should know; each kind of complaint once. Raises BagError, and ValueError for what a parameter asks for.
    """

    def __init__(self, task: Task, say: Callable[[str], None], resume: bool = False):
        self.task = task
        self._say = say
        self._said: set[str] = set()
        self._read = 0  # messages of the source
        self._skipped = 0  # of these, those that an earlier run has dealt with
        self._is_new = True  # the one that is dealt with is none of them
        self.pairs: list[dict[str, Any]] = []
        self.pairs_in = 0
        self.alone_in = 0  # images that came out without a partner
        self._ready: list[tuple[Pair, Frame]] = []
        self.incomplete = ''
        earlier = self._prepare(resume)
        self.bag = BagReader(task.source)
        for note in self.bag.notes:
            say(f"bag '{task.source}': {note}")
        try:
            self.predictor = build_predictor(task.config)
            config = with_clock(task.config, clock_of(task.config, self.predictor))
            found = find_topics(self.bag, config, task.topics)
            self._copied = frozenset(self.bag.topic(name).name for name in task.copy)
            self._refuse_own_topics()
            self._source = PairSource(self.bag, found, config, self._on_pair, self._complain)
            self._fuser = Fuser(
                self.predictor,
                config,
                frozenset(task.outputs),
                lambda: self._source.infos,
                self._complain,
            )
            self._out = SplitBag(task.out, task.storage, earlier['parts'] if earlier else [])
            if earlier is not None:
                self._go_on(earlier)
        except BaseException:
            self.bag.close()
            raise

    def records(self) -> Iterator[int]:
        """Do the work; yields the time of each message that was dealt with."""
        wanted = [*dict.fromkeys([*self._source.topics, *sorted(self._copied)])]
        read_by_source = set(self._source.topics)
        try:
            for record in self.bag.records(wanted):
                self._deal_with(record, record.topic in read_by_source)
                yield record.time
        except IncompleteBagError as error:
            self.incomplete = str(error)
        self._is_new = True
        self._source.pairing.flush()
        self._write_ready()
        self._out.finish_part()
        self._out.write_metadata()

    def close(self) -> None:
        """Close the source."""
        self.bag.close()

    def why_nothing(self) -> str:
        """Say why no pair was fused, when that is the result."""
        if self.pairs_in or self.alone_in:
            return f'none of the {self.pairs_in + self.alone_in} pairs could be used'
        return self._source.no_pair()

    def discard(self) -> None:
        """Take away what was written."""
        shutil.rmtree(self.task.out, ignore_errors=True)

    def finish(self) -> None:
        """Forget how to go on: all is done."""
        shutil.rmtree(self.task.out / STATE, ignore_errors=True)

    def summary(self) -> dict[str, Any]:
        """Return the content of summary.json."""
        found = {
            'preset': self.predictor.preset,
            'device': self.predictor.device,
            'pairs': self.pairs,
            'deformation_of': 'thermal',
            'pairs_in': self.pairs_in,
            'images_in': {name: self._source.received(name) for name in STREAMS},
            'drops': dict(self._source.drops() + self._fuser.drops),
        }
        if self.alone_in:
            found['alone_in'] = self.alone_in
        if self.predictor.backbone:
            found['backbone'] = self.predictor.backbone
            found['registration_first'] = self.predictor.config.registration_first
        if self.incomplete:
            found['incomplete'] = self.incomplete
        return found

    def _prepare(self, resume: bool) -> dict[str, Any] | None:
        out, state = self.task.out, self.task.out / STATE / 'state.npz'
        if out.exists() and not (resume and (out / STATE).is_dir()):
            remedy = 'remove it or choose another name'
            raise BagError(f"'{out}' exists already; {remedy}, or --resume what was begun there")
        earlier = values.read(state) if state.exists() else None
        if earlier is not None and earlier['task'] != self._identity():
            raise BagError(
                f"'{out}' was begun with another bag, other parameters, other options or another version of "
                'this package: remove it, or choose another name'
            )
        try:
            (out / STATE).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BagError(f"cannot write a bag at '{out}': {error.strerror}") from error
        return earlier

    def _identity(self) -> dict[str, str]:
        """Return what has to be the same for a run to go on."""
        task = self.task
        size = sum(file.stat().st_size for file in _files(task.source))
        return {
            'version': __version__,
            'bag': f'{task.source.absolute()}, {size} bytes',
            'parameters': str(task.config),
            'options': str(
                (task.outputs, task.copy, sorted(task.topics.items()), task.storage, task.part_bytes)
            ),
        }

    def _refuse_own_topics(self) -> None:
        own = {*IMAGE_TOPICS.values(), *INFO_TOPICS.values()}
        clash = sorted(self._copied & own)
        if clash:
            raise BagError(f"'{clash[0]}' cannot be copied: what is fused goes there")

    def _go_on(self, earlier: dict[str, Any]) -> None:
        self._skipped = earlier['read']
        self.pairs = earlier['pairs']
        memory.put(self.predictor, earlier['predictor'])
        for name, kept in earlier['formats'].items():
            memory.put(self._fuser.formats[name], kept)
        self._fuser.epoch = earlier['epoch']
        self._fuser.grid_frame = earlier['grid_frame']
        self._fuser.drops = Counter(earlier['drops'])
        self._said = set(earlier['said'])

    def _keep_state(self) -> None:
        state = {
            'task': self._identity(),
            'read': self._read,
            'pairs': self.pairs,
            'parts': self._out.parts,
            'predictor': memory.of(self.predictor),
            'formats': {name: memory.of(each) for name, each in self._fuser.formats.items()},
            'epoch': self._fuser.epoch,
            'grid_frame': self._fuser.grid_frame,
            'drops': dict(self._fuser.drops),
            'said': sorted(self._said),
        }
        try:
            values.write(self.task.out / STATE / 'state.npz', state)
        except FileError as error:
            raise BagError(str(error)) from error

    def _deal_with(self, record: Record, of_camera: bool) -> None:
        self._read += 1
        self._is_new = self._read > self._skipped
        if of_camera:
            self._source.take(record)
        if not self._is_new:
            return
        if record.topic in self._copied:
            self._out.write(len(record.cdr), lambda bag: self._copy(bag, record))
        self._write_ready()
        if self._out.size >= self.task.part_bytes:
            self._out.finish_part()
            self._keep_state()
            self._out.write_metadata()

    def _copy(self, bag: BagWriter, record: Record) -> None:
        bag.add(self.bag.topics[record.topic])
        bag.write(record.topic, record.type, record.cdr, record.time)

    def _on_pair(self, pair: Pair) -> None:
        if None in (pair.thermal, pair.visible):
            self.alone_in += 1
        else:
            self.pairs_in += 1
        if self._is_new:
            frame = self._fuser.fuse(pair)
            if frame is not None:
                self._ready.append((pair, frame))

    def _write_ready(self) -> None:
        for pair, frame in self._ready:
            size = sum(pixels.nbytes for pixels, _ in frame.images.values())
            self._out.write(size, lambda bag, pair=pair, frame=frame: _write(bag, pair, frame))
            self.pairs.append(
                {
                    'name': str(frame.stamp),
                    'milliseconds': frame.result.timing['total'],
                    'confidence': frame.result.confidence,
                    'cold': frame.result.cold,
                }
            )
        self._ready.clear()

    def _complain(self, key: str, text: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self._say(text)


def _write(bag: BagWriter, pair: Pair, frame: Frame) -> None:
    stamp, frame_id = frame.stamp, frame.frame_id
    time = max(image.time for image in (pair.thermal, pair.visible) if image is not None)
    for name, (pixels, encoding) in frame.images.items():
        bag.write_image(IMAGE_TOPICS[name], pixels, encoding, stamp, frame_id, time)
    if frame.info is not None:
        frame.info.header = header(stamp, frame_id)
        for name, topic in INFO_TOPICS.items():
            if name in frame.images:
                bag.write_message(topic, CAMERA_INFO, frame.info, time)


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
