"""The demo: a short flight through the real node, and what is made of it."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from installation import REPOSITORY

from irvis_fusion_ros.io.bags import BagReader, BagWriter

DEMO = REPOSITORY / 'scripts' / 'demo_flight'
SECOND = 1_000_000_000


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMO))
    import results

    return results


@pytest.mark.slow
def test_a_flight_becomes_video_pictures_bag_and_table(tmp_path):
    pytest.importorskip('rclpy', reason='the demo runs the node')
    av = pytest.importorskip('av', reason='the demo writes a video: install the extra video')
    done = subprocess.run(
        [sys.executable, DEMO, '--out', tmp_path, '--flight', '--seconds', '3', '--size', '160x128'],
        env={
            **os.environ,
            'PYTHONPATH': str(REPOSITORY),
            'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
            'ROS_LOG_DIR': str(tmp_path / 'log'),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = dict(line.split('  ', 1) for line in done.stdout.splitlines() if '  ' in line)
    fused = int(table['fused'])
    assert 0 < fused <= int(table['pairs in']) <= 30
    assert 'of' in table['endpoint error after [px]']

    with av.open(str(tmp_path / 'fused.mp4')) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ('h264', 'yuv420p')
        assert (stream.width, stream.height) == (320, 256)
        frames = list(video.decode(stream))
    with BagReader(tmp_path / 'outputs') as bag:
        stamps = [each.stamp for each in bag.images('/fused/image')]
    assert len(frames) == len(stamps)
    times = [frame.time for frame in frames]
    np.testing.assert_allclose(times, (np.array(stamps) - stamps[0]) / SECOND, atol=0.002)
    assert cv2.imread(str(tmp_path / 'contact_sheet.png')).shape[1] == 5 * 400


def test_the_endpoint_error_is_that_of_the_field_against_the_truth(results, tmp_path):
    truth = np.zeros((8, 8, 2), np.float32)
    truth[..., 0], truth[..., 1] = 3, 4
    truth[0] = np.nan  # outside the thermal image: nobody can be right there
    found = truth + np.float32(1) * np.array([0, 2], np.float32)
    found[1] = np.nan  # the node says outside where the truth is not: nothing was done there
    for name, topic, field in (('flight', results.TRUTH, truth), ('outputs', '/deformation/image', found)):
        with BagWriter(tmp_path / name) as bag:
            bag.write_image(topic, field, '32FC2', SECOND, 'visible')
    before, after = results.endpoint_errors(tmp_path / 'flight', tmp_path / 'outputs')
    assert before == pytest.approx([5.0])
    assert after == pytest.approx([(5.0 + 6 * 2.0) / 7])
