"""A user's own recording: pairs out of a bag, and a system that goes on learning from it."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from irvis_fusion_ros.data import synthetic
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io import encodings, weights
from irvis_fusion_ros.io.bags import COMPRESSED_IMAGE, COMPRESSED_VIDEO, BagWriter, header
from irvis_fusion_ros.networks.bsr import Bsr
from irvis_fusion_ros.systems import registry
from irvis_fusion_ros.systems.registry import SystemConfig
from irvis_fusion_ros.training import train
from irvis_fusion_ros.training.config import plain
from irvis_fusion_ros.training.data import recording
from irvis_fusion_ros.training.recipes.bsr import BsrRecipeConfig

SECOND = 1_000_000_000
TOPICS = ('thermal/image_raw', 'visible/image_raw')


def bag(path, topics=TOPICS, frames=6, late=0.005, visible_encoding='bgr8'):
    """Thermal 48x64 mono16 and visible 60x80 at 10 Hz, the thermal stamps a little late."""
    with BagWriter(path) as writer:
        for index in range(frames):
            thermal, visible = synthetic.pair((60, 80), index)
            thermal = 20000 + 40 * thermal[:48, :64].astype(np.uint16)
            stamp = SECOND + index * SECOND // 10
            if visible_encoding == 'rgb8':
                visible = visible[..., ::-1].copy()
            writer.write_image(f'/{topics[1]}', visible, visible_encoding, stamp, 'visible')
            writer.write_image(f'/{topics[0]}', thermal, 'mono16', stamp + round(late * SECOND), 'thermal')
    return path


def test_pairs_are_those_of_one_moment_with_thermal_values_as_brightness(tmp_path):
    items = recording.collect(bag(tmp_path / 'flight'))
    assert len(items) == 6
    for index, item in enumerate(items):
        thermal, visible = synthetic.pair((60, 80), index)
        assert item.thermal.shape == item.visible.shape == (60, 80)
        assert (item.part, item.aligned) == ('train', False)
        assert item.thermal.max() > 150 and item.thermal.min() < 50
        assert (
            np.corrcoef(item.thermal[5:-5, 5:-5].ravel(), _stretched(thermal)[5:-5, 5:-5].ravel())[0, 1] > 0.9
        )
        assert np.abs(item.visible - visible @ (0.114, 0.587, 0.299)).max() <= 1


def _stretched(thermal):
    return cv2.resize(thermal[:48, :64], (80, 60))


def test_clocks_that_differ_are_told_of(tmp_path):
    late = bag(tmp_path / 'flight', late=0.05)
    with pytest.raises(FileError, match='--thermal-offset'):
        recording.collect(late)
    assert len(recording.collect(late, thermal_offset=-0.05)) == 6


def test_colours_are_read_in_their_order(tmp_path):
    one, other = (
        recording.collect(bag(tmp_path / encoding, visible_encoding=encoding))
        for encoding in ('bgr8', 'rgb8')
    )
    assert np.array_equal(one[0].visible, other[0].visible)


def test_so_many_pairs_are_spread_over_the_recording(tmp_path):
    names = [item.name for item in recording.collect(bag(tmp_path / 'flight'), count=3)]
    assert names == [f'flight/{SECOND + i * SECOND // 10 + 5_000_000}' for i in (0, 2, 5)]


def test_pairs_are_those_of_the_node(tmp_path):
    """Of the images around a pair none is used twice, and a stamp that comes again is not used again."""
    with BagWriter(tmp_path / 'flight') as writer:
        for topic, milliseconds in (('visible', (1, 1, 12, 40)), ('thermal', (2, 10, 14, 90))):
            for number, stamp in enumerate(milliseconds):
                image = np.full((48, 64), 10 * number, np.uint8)
                writer.write_image(f'/{topic}/image_raw', image, 'mono8', SECOND + stamp * 1_000_000, topic)
    items = recording.collect(tmp_path / 'flight')
    assert [(int(item.name[-9:]) // 1_000_000, int(item.visible[0, 0])) for item in items] == [
        (2, 0),
        (10, 20),
    ]


@pytest.mark.parametrize('encoding', ['yuv422', 'bayer_rggb16', '32FC1'])
def test_encodings_are_those_of_the_node(tmp_path, encoding):
    kind = encodings.find(encoding)
    shape = (60, 80) if kind.channels == 1 else (60, 80, kind.channels)
    values = np.random.default_rng(0).integers(100, 120, shape).astype(kind.dtype)
    with BagWriter(tmp_path / 'flight') as writer:
        for topic, image, name in (
            ('thermal', values, encoding),
            ('visible', np.zeros((60, 80), np.uint8), 'mono8'),
        ):
            writer.write_image(f'/{topic}/image_raw', image, name, SECOND, topic)
    (item,) = recording.collect(tmp_path / 'flight')
    assert item.thermal.shape == (60, 80)


def test_of_a_damaged_bag_what_is_whole_is_used_and_the_rest_is_said(tmp_path):
    path = bag(tmp_path / 'flight', frames=12)
    file = next(path.glob('*.mcap'))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    said = []
    items = recording.collect(path, say=said.append)
    assert 3 < len(items) < 9
    assert len(said) == 1 and 'is not complete' in said[0]


def test_an_image_that_is_damaged_is_left_out(tmp_path):
    with BagWriter(tmp_path / 'flight') as writer:
        for index in range(4):
            thermal, visible = synthetic.pair((60, 80), index)
            stamp = SECOND + index * SECOND // 10
            writer.write_image('/thermal/image_raw', thermal, 'mono8', stamp, 'thermal')
            data = cv2.imencode('.jpg', visible)[1].ravel()
            message = SimpleNamespace(
                header=header(stamp, 'visible'), format='jpeg', data=data[: 90 if index == 2 else None]
            )
            writer.write_message('/visible/image_raw/compressed', COMPRESSED_IMAGE, message, stamp)
    said = []
    assert len(recording.collect(tmp_path / 'flight', say=said.append)) == 3
    assert len(said) == 1
    assert '1 images of the bag are not used' in said[0] and '/visible/image_raw/compressed' in said[0]


def test_a_camera_may_send_video(tmp_path):
    from video import frames

    pairs = [synthetic.pair((64, 80), 1) for _ in range(6)]
    pairs = [(thermal, np.roll(visible, number, 1)) for number, (thermal, visible) in enumerate(pairs)]
    packets = frames([visible for _, visible in pairs])
    with BagWriter(tmp_path / 'flight') as writer:
        for index, (thermal, _) in enumerate(pairs):
            stamp = SECOND + index * SECOND // 10
            writer.write_image('/thermal/image_raw', thermal, 'mono8', stamp, 'thermal')
            message = SimpleNamespace(
                timestamp=header(stamp, 'visible').stamp,
                frame_id='visible',
                data=np.frombuffer(packets[index], np.uint8),
                format='h264',
            )
            writer.write_message('/visible/image_raw/h264', COMPRESSED_VIDEO, message, stamp + 1)
    items = recording.collect(tmp_path / 'flight', count=2)
    # the last one builds on all before
    assert np.abs(items[1].visible - pairs[5][1] @ (0.114, 0.587, 0.299)).mean() < 4
    assert len(items) == 2


def test_what_cannot_be_used_is_said(tmp_path):
    path = bag(tmp_path / 'flight', ('cam/ir', 'cam/rgb'))
    with pytest.raises(FileError, match=r'--topics THERMAL VISIBLE(.|\n)*/cam/ir  sensor_msgs'):
        recording.collect(path)
    assert len(recording.collect(path, ('cam/ir', '/cam/rgb'))) == 6
    with pytest.raises(FileError, match=r"no topic 'cam/lr'(.|\n)*Did you mean '/cam/ir'"):
        recording.collect(path, ('cam/lr', 'cam/rgb'))
    with pytest.raises(FileError, match=r'within 0\.02 s of each other'):
        recording.collect(bag(tmp_path / 'apart', late=0.05))
    with pytest.raises(FileError, match='there is no bag'):
        recording.collect(tmp_path / 'none')


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of untrained weights as those of the package."""
    folder = tmp_path / 'models'
    folder.mkdir()
    monkeypatch.setenv(weights.VARIABLE, str(folder))
    torch.manual_seed(1)
    state = Bsr().state_dict()
    digest = weights.save(weights.file_of('bsr'), 'bsr', plain(BsrRecipeConfig()), state)
    (folder / 'bsr.md').write_text(f'sha256 {digest}\n')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'short.yaml').write_text(
        'batch: 1\nheight: 48\nwidth: 48\nrecipe: {steps: 1, fusion_steps: 1, lr: 0, fusion_lr: 0}\n'
    )
    return folder


@pytest.mark.slow
def test_a_system_is_adapted_to_a_recording_and_used_at_once(tmp_path, models, monkeypatch, capsys):
    path = bag(tmp_path / 'flight')
    command = ['bsr', '--bag', str(path), '--config', 'short.yaml', '--device', 'cpu', '--out', 'mine']
    assert train.main(command) == 0
    out = capsys.readouterr().out
    assert '6 pairs to learn from' in out
    assert f'IRVIS_MODELS={tmp_path / "mine"} irvis fusion_node --ros-args -p preset:=bsr' in out
    shipped = weights.load('bsr', 'bsr').state
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / 'mine'))
    # nothing was learned at a rate of 0: it began with what the package has
    adapted = weights.load('bsr', 'bsr').state
    assert all(torch.allclose(adapted[name], shipped[name], atol=1e-6) for name in shipped)
    assert registry.build(SystemConfig('bsr', 'cpu'), temporal=True)


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        (['busref', '--bag', 'flight', '--config', 'short.yaml'], 1, 'are not; valid: bsr'),
        (['bsr', '--bag', 'flight', '--start', 'none'], 1, 'none: the weights cannot be read'),
        (['bsr', '--bag', 'flight', '--data', 'x.npz'], 2, '--bag goes without --data'),
        (['bsr', '--bag', 'nowhere'], 1, "there is no bag at 'nowhere'"),
    ],
)
def test_clear_errors(tmp_path, models, capsys, arguments, code, message):
    bag(tmp_path / 'flight')
    (tmp_path / 'short.yaml').write_text('batch: 1\n')
    try:
        found = train.main([*arguments, '--device', 'cpu'])
    except SystemExit as stop:
        found = stop.code
    assert found == code
    assert message in capsys.readouterr().err
