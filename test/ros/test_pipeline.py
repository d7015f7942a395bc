"""From messages to outputs, beside a predictor that says what the test wants."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from rig import START, header, image
from sensor_msgs.msg import CompressedImage

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.calibration import Calibration
from irvis_fusion_ros.errors import ImageError
from irvis_fusion_ros.pairing import Pair
from irvis_fusion_ros.predictor import FusionResult
from irvis_fusion_ros.rig.refiner import JUMPED
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.outputs import predictor_outputs
from irvis_fusion_ros.ros.pipeline import Pipeline, Statistics
from irvis_fusion_ros.ros.topics import DEFORMATION_COLOR, FUSED, FUSED_COMPRESSED, FUSED_INFO, VALID

RIG = Calibration(np.eye(3), (96, 128), (96, 128))


class Predictor:
    device = 'cpu'

    def __init__(self):
        self.calibration = None
        self.resets = 0
        self.notes = ()
        self.error = None
        self.asked = []

    def reset(self):
        self.resets += 1

    def __call__(self, thermal, visible, *, outputs, **orders):
        if self.error:
            raise self.error
        self.asked.append((outputs, orders))
        fused = np.zeros((96, 128, 3), np.uint8)
        return FusionResult(
            fused, None, None, None, 0.5, 'track', np.eye(3), False, self.notes, {'total': 1.0}
        )


@pytest.fixture
def bench():
    said, published = [], []
    predictor = Predictor()
    outputs = SimpleNamespace(
        wanted=lambda: frozenset({FUSED}), publish=lambda *args, **names: published.append((args, names))
    )
    refusals, jumps = [], []

    def camera(name):
        return SimpleNamespace(
            info=None,
            info_topic=f'/{name}/camera_info',
            refuse=lambda error: refusals.append((name, error)),
            image=SimpleNamespace(topic=f'/{name}'),
        )

    cameras = {name: camera(name) for name in ('thermal', 'visible')}
    throttle = SimpleNamespace(warn=lambda key, text: said.append(text))
    pipeline = Pipeline(
        predictor,
        outputs,
        cameras,
        NodeConfig,
        lambda: START + 10**9,
        throttle,
        on_jump=lambda: jumps.append(pipeline.notes['rig_jumped']),
    )
    return SimpleNamespace(
        pipeline=pipeline,
        predictor=predictor,
        outputs=outputs,
        said=said,
        published=published,
        refusals=refusals,
        jumps=jumps,
    )


def pair(thermal='mono16', visible='bgr8', epoch=0):
    def message(encoding, frame):
        if encoding is None:
            return None
        made = image(encoding)
        made.header = header(START, frame)
        return made

    return Pair(message(thermal, 'thermal'), message(visible, 'visible'), 0.0, epoch=epoch)


def test_what_the_predictor_notes_is_counted_and_told(bench):
    bench.predictor.notes = (Note('thermal_black', 'the thermal image is black: is the shutter closed?'),)
    for _ in range(3):
        bench.pipeline.process(pair())
    assert bench.pipeline.notes == {'thermal_black': 3}
    assert bench.pipeline.sources == {'track': 3}
    assert (
        bench.said == ['the thermal image is black: is the shutter closed?'] * 3
    )  # WarningThrottle holds back
    assert bench.pipeline.counts == {'fused': 3}


def test_cameras_that_were_moved_are_told_of(bench):
    for notes in ((), (JUMPED,), ()):
        bench.predictor.notes = notes
        bench.pipeline.process(pair())
    assert bench.jumps == [1]


def test_another_predictor_goes_on_with_the_rig(bench):
    bench.pipeline.use_rig(RIG)
    assert bench.predictor.calibration is RIG
    other = Predictor()
    bench.pipeline.replace_predictor(other)
    assert bench.pipeline.predictor is other
    assert other.calibration is RIG


def test_an_image_that_the_predictor_refuses_is_the_cameras(bench):
    bench.predictor.error = ImageError('layout', 'the image is float32', camera='visible')
    bench.pipeline.process(pair())
    assert bench.refusals == [('visible', bench.predictor.error)]
    assert bench.pipeline.counts == {'refused': 1}


def test_an_image_that_cannot_be_decoded_is_the_cameras(bench):
    spoiled = CompressedImage(format='png', data=b'no image')
    bench.pipeline.process(Pair(spoiled, pair().visible, 0.0))
    ((name, error),) = bench.refusals
    assert (name, error.camera, error.cause) == ('thermal', 'thermal', 'corrupt')


def test_a_clock_that_went_back_resets_before_the_next_pair(bench):
    for epoch in (0, 0, 1, 1):
        bench.pipeline.process(pair(epoch=epoch))
    assert bench.predictor.resets == 1


def test_colour_orders_are_told_and_outputs_are_those_wanted(bench):
    bench.pipeline.process(pair('rgb8', 'rgba8'))
    outputs, orders = bench.predictor.asked[0]
    assert outputs == {'fused'} and orders == {'visible_order': 'rgb', 'thermal_order': 'rgb'}


def test_headers_of_pairs_and_of_lonely_images(bench):
    for lonely in (pair(visible=None), pair(), pair(thermal=None), pair(visible=None)):
        bench.pipeline.process(lonely)
    frames = [args[2].frame_id for args, _ in bench.published]
    # the thermal image alone is in its own frame until the reference is known
    assert frames == ['thermal', 'visible', 'visible', 'visible']
    assert bench.pipeline.counts == {'fused': 1, 'passed_through': 3}


def test_numbers_of_the_stream(bench):
    bench.pipeline.process(pair())
    statistics = bench.pipeline.statistics
    assert statistics.percentiles('age', 50, 95) == [1.0, 1.0]
    assert statistics.percentiles('predictor', 50) == [1.0]
    overhead, end_to_end = (statistics.percentiles(name, 50)[0] for name in ('overhead', 'end_to_end'))
    assert overhead == pytest.approx(end_to_end - 1.0)
    assert statistics.last('confidence') == 0.5
    assert Statistics().percentiles('age', 50) is None and Statistics().last('confidence') is None


def test_the_predictor_makes_only_what_topics_need():
    assert predictor_outputs(frozenset({FUSED, FUSED_COMPRESSED, VALID})) == {'fused', 'valid'}
    assert predictor_outputs(frozenset({DEFORMATION_COLOR})) == {'deformation'}
    assert predictor_outputs(frozenset({FUSED_INFO})) == frozenset()
