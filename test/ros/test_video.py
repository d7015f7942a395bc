"""Real video, replayed from a bag at its own rate to the node in another process."""

import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

import cv2
from rig import SECOND
from shared_data import shared

from irvis_fusion_ros.io.bags import BagWriter

pytestmark = pytest.mark.slow  # processes of the node, over DDS

START = 1_700_000_000 * SECOND
FRAMES = 75
LAG = 50_000_000  # of the thermal clock
MISALIGNED = cv2.getRotationMatrix2D((320, 240), 2, 1.04)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """A bag of a clip, with a thermal clock that lags and a camera that is turned; and the visible stamps."""
    clip = '0117_1605.mp4'
    videos = [cv2.VideoCapture(str(shared(f'data/m3svd_video/{kind}/{clip}'))) for kind in ('ir', 'vi')]
    path = tmp_path_factory.mktemp('video') / 'bag'
    stamps = [START + number * SECOND // 30 for number in range(FRAMES)]
    with BagWriter(path) as writer:
        for stamp in stamps:
            thermal, visible = (video.read()[1] for video in videos)
            thermal = cv2.warpAffine(cv2.cvtColor(thermal, cv2.COLOR_BGR2GRAY), MISALIGNED, (640, 480))
            writer.write_image(
                '/thermal/image_raw', thermal, 'mono8', stamp - LAG, 'thermal', stamp + 2_000_000
            )
            writer.write_image('/visible/image_raw', visible, 'bgr8', stamp, 'visible', stamp)
    return path, stamps


def replay(rig, path):
    command = [sys.executable, '-m', 'irvis_fusion_ros.tools.replay', str(path), '--subscribers', '2']
    player = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rig.wait(lambda: player.poll() is not None, patience=60)
    assert player.returncode == 0


def test_every_frame_of_a_video_comes_out_once_in_order(rig, start_node, bag):
    path, stamps = bag
    start_node({'mode': 'every_frame', 'calibration.source': 'none', 'sync.thermal_offset': LAG / SECOND})
    rig.listen_and_be_known('fused/image')
    replay(rig, path)
    rig.wait(lambda: len(rig.received['fused/image']) >= len(stamps), patience=60)
    rig.refresh()
    assert rig.stamps('fused/image') == stamps
    assert (
        rig.diagnostic('pairing', 'thermal dropped') == rig.diagnostic('pairing', 'visible dropped') == 'none'
    )


def test_realtime_accounts_for_every_frame_of_a_video(rig, start_node, bag):
    path, stamps = bag
    start_node({'calibration.source': 'none', 'sync.thermal_offset': LAG / SECOND})
    rig.listen_and_be_known('fused/image')
    replay(rig, path)

    def accounted():
        dropped = sum(rig.count('output', 'dropped', cause) for cause in ('superseded', 'too_old'))
        lonely = rig.count('pairing', 'visible dropped', 'no_partner')
        lost = int(rig.diagnostic('inputs', 'visible lost on the way') or 0)
        return len(rig.received['fused/image']) + dropped + lonely + lost

    rig.wait(lambda: accounted() >= len(stamps))
    rig.refresh()
    assert accounted() == len(stamps)
    fused = rig.stamps('fused/image')
    assert fused and fused == sorted(set(fused)) and set(fused) <= set(stamps)
