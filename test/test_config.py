from dataclasses import dataclass, replace

import pytest

from irvis_fusion_ros import config
from irvis_fusion_ros.config import group, option
from irvis_fusion_ros.imaging.tone import ToneConfig


@dataclass(frozen=True)
class Inner:
    gain: float = option(1.5, 'A gain.', minimum=0.5, maximum=4, unit='dB')


@dataclass(frozen=True)
class Outer:
    name: str = option('a', 'A name.', choices=('a', 'b'), live=True)
    inner: Inner = group(Inner)
    count: int = option(3, 'A count.', minimum=1)


def test_walk_goes_in_order_of_declaration_with_dotted_names():
    assert [(name, value) for name, _, value in config.walk(Outer())] == [
        ('name', 'a'),
        ('inner.gain', 1.5),
        ('count', 3),
    ]
    specs = {name: spec for name, spec, _ in config.walk(Outer())}
    assert specs['inner.gain'].unit == 'dB'
    assert specs['name'].live and not specs['count'].live


@pytest.mark.parametrize(
    ('broken', 'message'),
    [
        (Outer(name='c'), "'name' is 'c': must be one of 'a', 'b'"),
        (Outer(inner=Inner(gain=0.1)), "'inner.gain' is 0.1: must be at least 0.5 dB"),
        (Outer(inner=Inner(gain=9)), "'inner.gain' is 9: must be at most 4 dB"),
        (Outer(inner=Inner(gain=float('nan'))), "'inner.gain' is nan: must be at least 0.5 dB"),
        (replace(Outer(), count=0), "'count' is 0: must be at least 1"),
    ],
)
def test_check_names_the_option_and_the_limit(broken, message):
    with pytest.raises(ValueError) as caught:
        config.check(broken)
    assert str(caught.value) == message


def test_defaults_keep_to_their_own_limits():
    config.check(Outer())
    config.check(ToneConfig())


def test_every_option_is_described():
    for name, spec, _ in config.walk(ToneConfig()):
        assert spec.description.endswith('.'), name
