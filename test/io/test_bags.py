"""Bags: what is written is read back, foreign bags are read right, and errors name the remedy."""

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.io import bags, encodings

ENCODINGS = ['mono8', 'mono16', '16UC1', 'bgr8', 'rgba8', '32FC1', '32FC2', '8UC3']


def random_image(encoding, shape=(37, 53)):
    kind = encodings.find(encoding)
    dtype, channels = kind.dtype, kind.channels
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, shape if channels == 1 else (*shape, channels)).astype(dtype)
    return image * dtype.type(257) if dtype == np.uint16 else image


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_images_come_back_as_written(tmp_path, storage):
    with bags.BagWriter(tmp_path / 'bag', storage) as bag:
        for number, encoding in enumerate(ENCODINGS):
            stamp = 1_700_000_000_000_000_001 + number
            bag.write_image(
                f'/{encoding.lower()}', random_image(encoding), encoding, stamp, 'camera', stamp + 5
            )
    assert len(list((tmp_path / 'bag').glob({'mcap': '*.mcap', 'sqlite3': '*.db3'}[storage]))) == 1
    with bags.BagReader(tmp_path / 'bag') as bag:
        for number, (encoding, recorded) in enumerate(zip(ENCODINGS, bag.images(*bag.topics), strict=True)):
            assert recorded.encoding == encoding
            assert recorded.stamp == 1_700_000_000_000_000_001 + number
            assert recorded.time == recorded.stamp + 5
            assert recorded.frame_id == 'camera'
            assert recorded.image.dtype == random_image(encoding).dtype
            np.testing.assert_array_equal(recorded.image, random_image(encoding))


@pytest.mark.parametrize(('suffix', 'pattern'), [('.mcap', '*.mcap'), ('.db3', '*.db3'), ('', '*.mcap')])
def test_the_suffix_chooses_the_storage(tmp_path, suffix, pattern):
    with bags.BagWriter(tmp_path / f'bag{suffix}') as bag:
        bag.write_image('/a', random_image('mono8'), 'mono8', 1, 'camera')
    assert list((tmp_path / f'bag{suffix}').glob(pattern))


def test_camera_info_comes_back_as_written(tmp_path):
    k = np.array([[500, 0, 320], [0, 510, 256], [0, 0, 1.0]])
    p = np.hstack([k, [[-12.5], [0], [0]]])
    camera = bags.Intrinsics((640, 512), k, np.array([0.1, -0.2, 0, 0, 0.01]), np.eye(3), p)
    with bags.BagWriter(tmp_path / 'bag') as bag:
        bag.write_camera_info('/camera_info', camera, 7, 'camera')
    with bags.BagReader(tmp_path / 'bag') as bag:
        message = bag.decode(next(bag.records()))
    assert (message.width, message.height, message.distortion_model) == (640, 512, 'plumb_bob')
    np.testing.assert_array_equal(message.k.reshape(3, 3), k)
    np.testing.assert_array_equal(message.p.reshape(3, 4), p)
    np.testing.assert_array_equal(message.d, camera.d)


def test_type_hashes_are_those_of_every_supported_distribution():
    for type_name in (bags.IMAGE, bags.COMPRESSED_IMAGE, bags.CAMERA_INFO):
        hashes = {
            get_typestore(store).hash_rihs01(type_name)
            for store in (Stores.ROS2_HUMBLE, Stores.ROS2_JAZZY, Stores.LATEST)
        }
        assert len(hashes) == 1


def test_metadata_is_old_enough_for_humble(tmp_path):
    with bags.BagWriter(tmp_path / 'bag') as bag:
        bag.write_image('/a', random_image('mono8'), 'mono8', 1, 'camera')
    assert 'version: 8' in (tmp_path / 'bag' / 'metadata.yaml').read_text()


def test_row_padding_and_big_endian_are_honoured(tmp_path):
    values = random_image('mono16')
    height, width = values.shape
    step = 2 * width + 6
    padded = np.full((height, step), 0xAA, np.uint8)
    padded[:, : 2 * width] = values.astype('>u2').view(np.uint8)
    write_raw_image(tmp_path / 'bag', 'mono16', values.shape, step, padded.ravel(), is_bigendian=1)
    with bags.BagReader(tmp_path / 'bag') as bag:
        np.testing.assert_array_equal(next(bag.images('image')).image, values)


def test_compressed_images_are_decoded(tmp_path):
    values = random_image('mono16')
    store = get_typestore(Stores.ROS2_HUMBLE)
    message = store.types[bags.COMPRESSED_IMAGE](
        header=bags.header(5, 'camera'),
        format='mono16; png compressed',
        data=cv2.imencode('.png', values)[1],
    )
    with bags.BagWriter(tmp_path / 'bag') as bag:
        bag.write(
            '/image/compressed', bags.COMPRESSED_IMAGE, store.serialize_cdr(message, bags.COMPRESSED_IMAGE), 5
        )
    with bags.BagReader(tmp_path / 'bag') as bag:
        recorded = next(bag.images('/image/compressed'))
    assert recorded.encoding == 'mono16'
    np.testing.assert_array_equal(recorded.image, values)


def test_records_are_in_recorded_order_and_can_be_cut(tmp_path):
    with bags.BagWriter(tmp_path / 'bag') as bag:
        for time in (30, 10, 20, 40):
            bag.write_image(f'/{"ab"[time // 10 % 2]}', random_image('mono8'), 'mono8', 1, '', time)
    with bags.BagReader(tmp_path / 'bag') as bag:
        assert [r.time for r in bag.records()] == [10, 20, 30, 40]
        assert [r.time for r in bag.records(['a'])] == [20, 40]
        assert [r.time for r in bag.records(start=20, stop=40)] == [20, 30]
        assert (bag.start, bag.stop, bag.count) == (10, 41, 4)
        assert bag.topics['/a'].count == 2


def test_a_single_storage_file_and_a_bag_without_metadata_are_read(tmp_path):
    with bags.BagWriter(tmp_path / 'bag', 'mcap') as bag:
        bag.write_image('/a', random_image('mono8'), 'mono8', 1, 'camera')
    with bags.BagReader(tmp_path / 'bag' / 'bag.mcap') as bag:
        assert bag.count == 1
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    with bags.BagReader(tmp_path / 'bag') as bag:
        assert [r.topic for r in bag.records()] == ['/a']


def test_other_readers_open_our_bags(tmp_path):
    with bags.BagWriter(tmp_path / 'bag') as bag:
        bag.note('irvis', 'a remark')
        bag.write_image('/a', random_image('mono8'), 'mono8', 1, 'camera')
    with Reader(tmp_path / 'bag') as reader:
        assert [c.topic for c in reader.connections] == ['/a']
    assert 'a remark' in (tmp_path / 'bag' / 'metadata.yaml').read_text()


def test_a_missing_topic_error_lists_what_there_is(tmp_path):
    with bags.BagWriter(tmp_path / 'bag') as bag:
        bag.write_image('/thermal/image_raw', random_image('mono8'), 'mono8', 1, 'camera')
    with bags.BagReader(tmp_path / 'bag') as bag:
        with pytest.raises(BagError, match=r"(?s)no topic '/thermal/image'.*/thermal/image_raw.*1 messages"):
            list(bag.images('/thermal/image'))
        with pytest.raises(BagError, match='expected sensor_msgs/msg/CameraInfo'):
            bag.topic('thermal/image_raw', [bags.CAMERA_INFO])


@pytest.mark.parametrize(
    ('name', 'content', 'text'),
    [
        ('missing', None, 'there is no bag at'),
        ('text.txt', b'hello', 'is not a bag'),
        ('old.bag', b'#ROSBAG V2.0\n', 'is a bag of ROS 1; convert it: rosbags-convert'),
        ('broken.mcap', b'hello', 'cannot read the bag'),
        ('broken.db3', b'hello', 'cannot read the bag'),
        ('empty.mcap', b'', 'cannot read the bag'),
    ],
)
def test_an_unreadable_bag_is_one_clear_error(tmp_path, name, content, text):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=text) as raised:
        bags.BagReader(tmp_path / name)
    assert name in str(raised.value)


def test_a_directory_that_is_no_bag_is_refused(tmp_path):
    with pytest.raises(BagError, match=r'no metadata\.yaml'):
        bags.BagReader(tmp_path)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_truncated_bag_never_shows_a_traceback_of_the_storage(tmp_path, storage):
    with bags.BagWriter(tmp_path / 'bag', storage) as bag:
        for time in range(20):
            bag.write_image('/a', random_image('mono8', (200, 300)), 'mono8', time, 'camera')
    file = next(f for f in (tmp_path / 'bag').iterdir() if f.suffix in ('.mcap', '.db3'))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BagError, match='bag'):
        list(bags.BagReader(tmp_path / 'bag').images('/a'))


def test_a_cut_image_names_the_topic_and_the_sizes(tmp_path):
    write_raw_image(tmp_path / 'bag', 'bgr8', (10, 20), 60, np.zeros(599, np.uint8))
    with (
        bags.BagReader(tmp_path / 'bag') as bag,
        pytest.raises(BagError, match=r"'/image': 599 bytes of data, but 20x10 bgr8 with step 60"),
    ):
        list(bag.images('/image'))


def test_an_existing_bag_is_not_overwritten(tmp_path):
    (tmp_path / 'bag').mkdir()
    with pytest.raises(BagError, match='exists already'):
        bags.BagWriter(tmp_path / 'bag')


def test_an_image_must_suit_its_encoding(tmp_path):
    with bags.BagWriter(tmp_path / 'bag') as bag:
        with pytest.raises(ValueError, match='a mono16 image cannot be uint8'):
            bag.write_image('/a', random_image('mono8'), 'mono16', 1, 'camera')
        with pytest.raises(ValueError, match="unknown image encoding 'yuv'"):
            bag.write_image('/a', random_image('mono8'), 'yuv', 1, 'camera')


def write_raw_image(path, encoding, shape, step, data, is_bigendian=0):
    store = get_typestore(Stores.ROS2_HUMBLE)
    message = store.types[bags.IMAGE](
        header=bags.header(1, 'camera'),
        height=shape[0],
        width=shape[1],
        encoding=encoding,
        is_bigendian=is_bigendian,
        step=step,
        data=data,
    )
    with bags.BagWriter(path) as bag:
        bag.write('/image', bags.IMAGE, store.serialize_cdr(message, bags.IMAGE), 1)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_full_disk_is_one_clear_error(tmp_path, storage):
    resource = pytest.importorskip('resource')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = bags.BagWriter(tmp_path / 'bag', storage)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(BagError, match=r"cannot write the bag at '.*bag': ") as raised, writer:
            for time in range(200):
                writer.write_image('/a', random_image('mono16', (300, 400)), 'mono16', time, 'camera')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_types_that_are_not_common_and_latched_topics_are_handed_on(tmp_path, storage):
    definition = 'std_msgs/Header header\nfloat32[3] wind\ndrone_msgs/State state\n' + '=' * 80
    definition += '\nMSG: drone_msgs/State\nuint8 armed\n'
    topic = bags.Topic('/wind', 'drone_msgs/msg/Wind', 0, latched=True, definition=definition)
    cdr = b'\0\1\0\0' + bytes(40)
    with bags.BagWriter(tmp_path / 'one', storage) as bag:
        bag.add(topic)
        bag.write(topic.name, topic.type, cdr, 5)
    with bags.BagReader(tmp_path / 'one') as one, bags.BagWriter(tmp_path / 'two', storage) as two:
        found = one.topics['/wind']
        assert (found.type, found.latched) == (topic.type, True)
        two.add(found)
        for record in one.records():
            two.write(record.topic, record.type, record.cdr, record.time)
    with bags.BagReader(tmp_path / 'two') as bag:
        assert [record.cdr for record in bag.records()] == [cdr]
        assert bag.topics['/wind'] == one.topics['/wind']
    with bags.BagWriter(tmp_path / 'three', storage) as bag:
        for wrong in ('', 'float32[', 'nobody_msgs/Nothing x'):
            with pytest.raises(BagError, match='/wind'):
                bag.add(bags.Topic('/wind', 'drone_msgs/msg/Wind', 0, definition=wrong))
        bag.write_image('/a', random_image('mono8'), 'mono8', 1, 'camera')
