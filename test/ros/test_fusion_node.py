"""The node over real DDS: what it publishes, what it computes, and how it is steered."""

import array
import importlib.util

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')

from ready import READY
from rig import SECOND, START, header, image, scene, stamp_of
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import SetBool, Trigger

from irvis_fusion_ros.backends.device import half_of, precision_of
from irvis_fusion_ros.io import weights
from irvis_fusion_ros.ros.topics import PUBLISHED
from irvis_fusion_ros.systems import registry

pytestmark = pytest.mark.slow  # processes of the node, over DDS

OF_CORRECTION = ('deformation_fused/image', 'misregistration/image')
OUTPUTS = [
    topic.name for topic in PUBLISHED if not topic.name.startswith('/') and topic.name not in OF_CORRECTION
]
STEP = SECOND // 10
RAW = ('thermal/image_raw', 'visible/image_raw')


def pixels_of(message, kind, channels):
    pixels = np.frombuffer(message.data, kind).reshape(message.height, message.width, channels)
    return pixels[..., 0] if channels == 1 else pixels


def camera_info(width=128, height=96, frame_id='visible_optical'):
    info = CameraInfo(width=width, height=height)
    info.k = [100.0, 0, 63.5, 0, 100.0, 47.5, 0, 0, 1]
    info.p = [100.0, 0, 63.5, 0, 0, 100.0, 47.5, 0, 0, 0, 1, 0]
    return info


def test_every_output_carries_the_reference_header_and_what_is_promised(rig, start_node):
    start_node({'mode': 'every_frame'})
    rig.listen(*OUTPUTS)
    rig.camera(*RAW, 'visible/camera_info')
    rig.send('visible/camera_info', camera_info(width=64, height=48), START)
    rig.wait(lambda: rig.diagnostic('inputs', 'visible camera_info') == 'yes')
    thermal = image('mono16', 48, 64)
    for number in range(3):
        rig.send('thermal/image_raw', thermal, START + number * STEP + 3_000_000)
        rig.send('visible/image_raw', image('rgb8'), START + number * STEP)
    for topic in OUTPUTS:
        messages = rig.wait_for(topic, 3)
        assert rig.stamps(topic) == [START + number * STEP for number in range(3)], topic
        assert {message.header.frame_id for message in messages} == {'visible_optical'}, topic
    last = {topic: messages[-1] for topic, messages in rig.received.items()}
    encodings = {
        'fused/image': 'bgr8',
        'registered/image': 'mono16',
        'deformation/image': '32FC2',
        'deformation/image_color': 'bgr8',
        'valid_mask/image': 'mono8',
    }
    for topic, encoding in encodings.items():
        assert (last[topic].encoding, last[topic].width, last[topic].height) == (encoding, 128, 96)
    inside = pixels_of(last['valid_mask/image'], np.uint8, 1)
    assert set(np.unique(inside)) <= {0, 255}
    field = pixels_of(last['deformation/image'], np.float32, 2)
    registered = pixels_of(last['registered/image'], np.uint16, 1)
    values = np.frombuffer(thermal.data, np.uint16)
    known = np.isfinite(field[..., 0])
    assert known.mean() > 0.5
    assert values.min() <= registered[known].min() and registered[known].max() <= values.max()
    assert (registered[~known] == 0).all() and (inside[~known] == 0).all()
    # the visible image was rgb8, the output is bgr8: its colours are where they belong
    fused = pixels_of(last['fused/image'], np.uint8, 3).astype(int)
    visible = pixels_of(image('rgb8'), np.uint8, 3)[..., ::-1].astype(int)
    chroma = [(i - i.mean(axis=2, keepdims=True)) for i in (fused, visible)]
    assert np.corrcoef(chroma[0].ravel(), chroma[1].ravel())[0, 1] > 0.9
    # CameraInfo was for half the size
    for topic in ('fused/camera_info', 'registered/camera_info'):
        assert (last[topic].width, last[topic].height) == (128, 96)
        assert last[topic].k[0] == pytest.approx(200.0)
        assert last[topic].p[2] == pytest.approx(2 * 63.5 + 0.5)
    compressed = last['fused/image/compressed']
    assert compressed.format == 'bgr8; jpeg compressed bgr8'
    again = cv2.imencode('.jpg', fused.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    assert bytes(compressed.data) == again.tobytes()


@pytest.mark.skipif('fusion_register' not in READY, reason='its weights are not shipped')
def test_what_corrects_the_fused_image_says_how_and_where(rig, start_node):
    chosen = {'preset': 'fusion_register', 'backbone': 'max', 'device': 'cpu', 'calibration.source': 'none'}
    start_node({'mode': 'every_frame', **chosen})
    rig.listen_and_be_known('fused/image', 'deformation/image', *OF_CORRECTION)
    rig.camera(*RAW)
    for number in range(2):
        rig.send('thermal/image_raw', image('mono16', 48, 64), START + number * STEP + 3_000_000)
        rig.send('visible/image_raw', image('bgr8'), START + number * STEP)
    for topic, encoding in (*zip(OF_CORRECTION, ('32FC2', '32FC1'), strict=True), ('fused/image', 'bgr8')):
        messages = rig.wait_for(topic, 2)
        assert rig.stamps(topic) == [START, START + STEP], topic
        assert {message.header.frame_id for message in messages} == {'visible_optical'}, topic
        assert (messages[0].encoding, messages[0].width, messages[0].height) == (encoding, 128, 96)
    moved, misplaced = (
        pixels_of(rig.received[topic][-1], np.float32, channels)
        for topic, channels in zip(OF_CORRECTION, (2, 1), strict=True)
    )
    assert misplaced.min() >= 0 and misplaced.max() <= 1
    inside = np.isfinite(moved).all(axis=-1)
    assert inside.mean() > 0.5 and np.isnan(moved[~inside]).all()
    assert np.abs(moved[inside]).max() < 128
    # that of the thermal image is another one
    field = pixels_of(rig.wait_for('deformation/image', 2)[-1], np.float32, 2)
    assert not np.array_equal(field[inside], moved[inside])
    rig.refresh()
    first = registry.best()
    for key, value in (
        ('preset', 'fusion_register'),
        ('backbone', 'max'),
        ('registration first', f'{first} on cpu'),
        ('backend', 'torch'),
        ('device', 'cpu'),
        ('precision', precision_of(half_of('cpu'))),
    ):
        assert rig.diagnostic('inference', key) == value, key


def test_nothing_is_computed_or_sent_without_subscribers(rig, start_node):
    start_node({'mode': 'every_frame'})
    rig.camera(*RAW)
    for number in range(3):
        rig.send_pair(START + number * STEP)
    rig.wait(lambda: rig.count('output', 'dropped', 'not_wanted') == 3)
    assert rig.diagnostic('inference', 'fused') == '0'
    rig.listen('valid_mask/image')
    rig.wait(lambda: rig.diagnostic('output', 'subscribed') == 'valid_mask/image')
    rig.send_pair(START + 3 * STEP)
    rig.wait_for('valid_mask/image')
    rig.wait(lambda: rig.diagnostic('output', 'published') == 'valid_mask/image 1')
    assert rig.diagnostic('inference', 'fused') == '1'


@pytest.mark.parametrize(
    ('thermal', 'visible', 'output'),
    [
        ('mono8', 'mono8', 'mono8'),
        ('32FC1', 'bgra8', 'rgb8'),
        ('8UC3', 'mono16', 'bgr8'),
        ('16UC1', 'rgba8', 'mono8'),
    ],
)
def test_encodings_in_and_out(rig, start_node, thermal, visible, output):
    start_node({'mode': 'every_frame', 'output_encoding': output})
    rig.listen('fused/image', 'registered/image')
    rig.camera(*RAW)
    rig.send_pair(START, image(thermal, 80, 112), image(visible))
    rig.send_pair(START + STEP, image(thermal, 80, 112), image(visible))
    assert rig.wait_for('fused/image')[0].encoding == output
    assert rig.wait_for('registered/image')[0].encoding == thermal
    assert (rig.received['fused/image'][0].width, rig.received['fused/image'][0].height) == (128, 96)


def test_compressed_in_and_png_out(rig, start_node):
    start_node(
        {
            'mode': 'every_frame',
            'thermal.transport': 'compressed',
            'visible.transport': 'compressed',
            'compressed.format': 'png',
        }
    )
    rig.listen('fused/image/compressed', 'registered/image')
    rig.camera('thermal/image_raw/compressed', 'visible/image_raw/compressed')
    thermal = (scene(80, 112) * 4000 + 28000).astype(np.uint16)
    visible = (np.stack([scene(96, 128, seed) for seed in range(3)], 2) * 255).astype(np.uint8)

    def compressed(pixels, suffix, form):
        data = array.array('B', cv2.imencode(suffix, pixels)[1].tobytes())
        return CompressedImage(format=form, data=data)

    for number in range(2):
        stamp = START + number * STEP
        rig.send('thermal/image_raw/compressed', compressed(thermal, '.png', '16UC1; png compressed '), stamp)
        rig.send(
            'visible/image_raw/compressed', compressed(visible, '.jpg', 'rgb8; jpeg compressed bgr8'), stamp
        )
    registered = rig.wait_for('registered/image')[0]
    assert registered.encoding == '16UC1'
    fused = rig.wait_for('fused/image/compressed')[0]
    assert fused.format == 'bgr8; png compressed bgr8'
    assert cv2.imdecode(np.frombuffer(fused.data, np.uint8), cv2.IMREAD_UNCHANGED).shape == (96, 128, 3)


def test_enable_and_reset(rig, start_node):
    start_node({'mode': 'every_frame', 'sync.timeout': 0.05})
    rig.listen('fused/image')
    rig.camera(*RAW)
    rig.send_pair(START)
    rig.wait_for('fused/image')
    assert rig.call(SetBool, 'fusion_node/enable', SetBool.Request(data=False)).success
    rig.wait(lambda: not rig.node.count_subscribers('thermal/image_raw'))
    rig.wait(lambda: 'thermal disabled' in rig.messages['inputs'] and rig.levels['inputs'] == 0)
    again = rig.call(SetBool, 'fusion_node/enable', SetBool.Request(data=False))
    assert again.success and again.message == 'disabled already'
    assert rig.call(SetBool, 'fusion_node/enable', SetBool.Request(data=True)).success
    rig.wait(lambda: all(rig._publishers[topic].get_subscription_count() for topic in RAW))
    rig.send('thermal/image_raw', image('mono16'), START + STEP)
    rig.wait(lambda: rig.diagnostic('pairing', 'thermal waiting') == '1')
    answer = rig.call(Trigger, 'fusion_node/reset', Trigger.Request())
    assert answer.success
    rig.wait(lambda: rig.count('pairing', 'thermal dropped', 'reset') == 1)
    rig.send_pair(START + 2 * STEP)
    assert [stamp_of(m) for m in rig.wait_for('fused/image', 2)] == [START, START + 2 * STEP]


def test_parameters_change_while_running_or_say_why_not(rig, start_node):
    start_node({'mode': 'every_frame', 'sync.timeout': 0.05})
    rig.listen('fused/image')
    rig.camera(*RAW)
    apart = 50_000_000

    def send_apart(stamp):
        rig.send('thermal/image_raw', image('mono16'), stamp + apart)
        rig.send('visible/image_raw', image('bgr8'), stamp)

    send_apart(START)
    rig.wait(lambda: rig.count('pairing', 'visible dropped', 'no_partner') == 1)
    for name, value, reason in [
        ('sync.tolerance', 20.0, '20'),
        ('preset', 'nonsense', "'preset' is 'nonsense': unknown preset 'nonsense'; valid: classical"),
        ('device', 'cuda:99', 'cuda:99'),
        ('mode', 'realtime', 'needs cleanup and configure'),
        ('backbone', 'resnet', 'backbone'),
        ('autostart', False, 'read-only'),
        ('compressed.jpeg_quality', 0, 'jpeg_quality'),
    ]:
        result = rig.set_parameter(name, value)
        assert not result.successful and reason in result.reason, (name, result)
    assert rig.set_parameter('sync.tolerance', 0.06).successful
    assert rig.set_parameter('output_encoding', 'mono8').successful
    assert rig.set_parameter('thermal.normalisation', 'percentile').successful
    assert rig.set_parameter('device', 'cpu').successful
    assert rig.set_parameter('preset', 'unregistered').successful
    assert rig.set_parameter('backbone', 'max').successful
    refused = rig.set_parameter('backbone', 'resnet')
    assert not refused.successful and 'valid: average, max' in refused.reason
    # a backbone that classical does not have
    assert not rig.set_parameter('preset', 'classical').successful
    assert rig.set_parameter('backbone', '').successful
    assert rig.set_parameter('preset', 'classical').successful
    send_apart(START + SECOND)
    assert rig.wait_for('fused/image')[-1].encoding == 'mono8'
    assert rig.set_parameter('sync.tolerance', 0.01).successful
    assert rig.set_parameter('sync.thermal_offset', -0.05).successful
    send_apart(START + 2 * SECOND)
    rig.wait_for('fused/image', 2)
    assert rig.stamps('fused/image') == [START + SECOND, START + 2 * SECOND]


@pytest.mark.parametrize('preset', READY)
def test_every_preset_can_be_chosen_while_running(rig, start_node, preset):
    start_node({'mode': 'every_frame', 'sync.timeout': 0.05})
    rig.listen('fused/image', 'deformation/image')
    rig.camera(*RAW)
    assert rig.set_parameter('preset', preset).successful
    for index in range(3):
        rig.send_pair(START + index * STEP)
    assert [stamp_of(m) for m in rig.wait_for('fused/image', 3)] == [START + i * STEP for i in range(3)]
    assert rig.wait_for('deformation/image', 3)[-1].encoding == '32FC2'
    rig.refresh()
    assert rig.diagnostic('inference', 'preset') == preset


def test_a_preset_without_weights_is_refused_and_the_node_goes_on(rig, start_node, tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    start_node({'mode': 'every_frame', 'sync.timeout': 0.05})
    rig.listen('fused/image')
    rig.camera(*RAW)
    refused = rig.set_parameter('preset', 'fusion_register')
    assert not refused.successful
    assert 'not trained yet' in refused.reason
    assert "make them with 'irvis train fusion_register" in refused.reason
    rig.send_pair(START)
    rig.wait_for('fused/image')
    rig.refresh()
    assert rig.diagnostic('inference', 'preset') == 'classical'


def test_topics_can_be_remapped_and_the_others_follow(rig, start_node):
    start_node(
        {'mode': 'every_frame', 'sync.timeout': 0.05},
        arguments=['-r', 'visible/image_raw:=/front/color/image', '-r', 'fused/image:=/out/picture'],
        ready='/out/picture',
    )
    rig.listen('/out/picture', '/out/camera_info')
    rig.camera('thermal/image_raw', '/front/color/image', '/front/color/camera_info')
    rig.send('/front/color/camera_info', camera_info(), START)
    rig.wait(lambda: rig.diagnostic('inputs', 'visible camera_info') == 'yes')
    message = image('bgr8')
    rig.send('thermal/image_raw', image('mono8'), START)
    rig.send('/front/color/image', message, START, 'front')
    assert rig.wait_for('/out/picture')[0].header == header(START, 'front')
    assert rig.wait_for('/out/camera_info')[0].header == header(START, 'front')


def test_two_rigs_do_not_mix(rig, start_node):
    for name in ('left', 'right'):
        start_node({'mode': 'every_frame', 'sync.timeout': 0.05}, arguments=['-r', f'__ns:=/{name}'])
    rig.listen('/left/fused/image', '/right/fused/image')
    rig.camera(*(f'/{name}/{topic}' for name in ('left', 'right') for topic in RAW))
    for name, stamp in (('left', START), ('right', START + SECOND)):
        rig.send(f'/{name}/thermal/image_raw', image('mono8'), stamp, name)
        rig.send(f'/{name}/visible/image_raw', image('bgr8'), stamp, name)
    assert rig.wait_for('/left/fused/image')[0].header == header(START, 'left')
    assert rig.wait_for('/right/fused/image')[0].header == header(START + SECOND, 'right')


def test_a_camera_that_sends_video_in_images_is_decoded_in_order(rig, start_node):
    """Each frame builds on the one before, of which some have no partner."""
    video = pytest.importorskip('video', reason='PyAV is not installed (extra `video`)')
    start_node({'mode': 'every_frame'})
    rig.listen_and_be_known('fused/image')
    rig.camera(*RAW)
    sent = pixels_of(image('bgr8'), np.uint8, 3)
    packets = video.frames([np.roll(sent, 4 * number, axis=1) for number in range(6)])
    last = START + (len(packets) - 1) * STEP
    for number, packet in enumerate(packets):
        # as some drivers put it: the size is that of the picture, the bytes are those of the stream
        frame = Image(height=96, width=128, encoding='h264', step=0, data=packet)
        if number in (0, len(packets) - 1):
            rig.send('thermal/image_raw', image('mono16'), START + number * STEP)
        rig.send('visible/image_raw', frame, START + number * STEP)
    # a later pair lets out the last one
    rig.send('thermal/image_raw', image('mono16'), last + STEP)
    rig.wait(lambda: last in rig.stamps('fused/image'))
    fused = pixels_of(rig.received['fused/image'][-1], np.uint8, 3).astype(int)
    shifts = [np.corrcoef(fused.ravel(), np.roll(sent, 4 * n, axis=1).ravel())[0, 1] for n in range(6)]
    assert np.argmax(shifts) == 5
    rig.wait(lambda: rig.diagnostic('inputs', 'visible format') == '128x96 bgr8')


def test_a_camera_that_offers_another_transport_only_is_named_with_it(rig, start_node):
    node = start_node({'diagnostics.no_pair_after': 0.5})
    other = rig.node.create_publisher(CompressedImage, 'visible/image_raw/theora', 1)
    node.wait_for_log('/visible/image_raw has no publisher, but /visible/image_raw/theora has: theora is not')
    rig.node.destroy_publisher(other)


def test_a_transport_that_is_not_installed_is_said_at_the_start(start_node):
    if importlib.util.find_spec('foxglove_msgs'):
        pytest.skip('foxglove_msgs is installed')
    node = start_node({'visible.transport': 'h264'}, ready=None)
    assert node.wait_for_exit() == 1
    assert "cannot configure: 'visible.transport' is 'h264': foxglove_msgs is not installed" in node.log
