"""Bags of somebody who means harm, and damage: all that is stated is read, or it is said what is not."""

import hostile_bags
import hypothesis
import mutation
import pytest
from hostile_bags import COUNT, THERMAL, VISIBLE

from irvis_fusion_ros.errors import BagError, IncompleteBagError
from irvis_fusion_ros.io.bags import BagReader


@pytest.fixture(scope='module')
def hostile(tmp_path_factory):
    return hostile_bags.all(tmp_path_factory.mktemp('bags') / 'hostile')


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Return a good bag: its folder, its file and the content of that."""
    folder = tmp_path_factory.mktemp('bags') / 'good'
    file = hostile_bags.good(folder)
    return folder, file, file.read_bytes()


def read(path):
    """Return the numbers of messages by topic; images that cannot be decoded are errors of their own."""
    with BagReader(path) as found:
        counts = dict.fromkeys(found.topics, 0)
        for record in found.records():
            counts[record.topic] += 1
            try:
                if record.type.endswith('Image'):
                    found.image(record)
            except BagError:
                pass
        return counts, found.notes


def test_bags_that_attack_are_refused_or_give_what_is_whole(hostile):
    assert len(hostile) > 40
    for name, path in hostile.items():
        try:
            counts, _ = read(path)
        except BagError as error:
            assert len(str(error)) < 2000 and str(path.name) in str(error), name
            continue
        assert sum(counts.values()) <= 2 * COUNT, name
        if name.startswith('metadata'):
            assert (counts[THERMAL], counts[VISIBLE]) == (COUNT, COUNT), name


def test_what_expands_to_more_than_a_camera_sends_is_left_out(hostile):
    with pytest.raises(IncompleteBagError, match='claims 1024 MB'):
        read(hostile['mcap: a bomb that is announced'])
    with pytest.raises(BagError):
        read(hostile['zstd: a bomb'])


def test_tables_that_compute_are_not_read(hostile):
    for name in ('topics without an end', 'messages without an end', 'data that is computed'):
        with pytest.raises(BagError, match='is computed, not stored'):
            read(hostile[f'db3: {name}'])


numbers = hypothesis.strategies.integers(0, 1 << 32)
change = hypothesis.strategies.tuples(
    hypothesis.strategies.integers(0, mutation.KINDS - 1), numbers, numbers, numbers
)


@hypothesis.given(hypothesis.strategies.lists(change, max_size=4))
@hypothesis.settings(max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_fewer_messages_than_stated_are_an_error_that_says_how_many(bag, changes):
    folder, file, content = bag
    file.write_bytes(mutation.changed(content, changes))
    try:
        counts, _ = read(folder)
    except IncompleteBagError as error:
        short = [name for name, count in error.claimed.items() if error.read.get(name, 0) < count]
        assert all(name in str(error) for name in short)
    except BagError as error:
        assert str(error)
    else:
        assert all(counts[topic] >= COUNT for topic in (THERMAL, VISIBLE)), counts
