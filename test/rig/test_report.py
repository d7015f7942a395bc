"""The report of a calibration: what it says, and that a browser shows all of it without a network."""

import base64
import re
from dataclasses import replace

import browser
import cv2
import numpy as np
import pytest

from irvis_fusion_ros.alignment import Note
from irvis_fusion_ros.calibration import Calibration, ClockOffset, Parallax
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.rig import report, report_plots
from irvis_fusion_ros.rig.clock import ClockCurve
from irvis_fusion_ros.rig.estimate import Estimate, Residuals
from irvis_fusion_ros.rig.pictures import OUTLINE, data_uri, outlined
from irvis_fusion_ros.rig.svg import ticks

LAGS = np.arange(-0.5, 0.5, 0.01)
MATRIX = np.array([[2.0, 0.02, 9.0], [-0.02, 2.0, -5.0], [0, 0, 1]])
RIG = Calibration(
    MATRIX,
    (96, 120),
    (200, 260),
    parallax=Parallax((0.98, -0.199), (0.5, 8)),
    clock=ClockOffset(-0.04, 0.002),
)


def residuals(count=12, bias=(0.0, 0.0)):
    rng = np.random.default_rng(0)
    at = np.stack(np.meshgrid(np.arange(10, 260, 26.0), np.arange(10, 200, 25.0)), -1).reshape(-1, 2)
    return tuple(
        Residuals(
            name=f'pair {k}',
            stamp=100.0 + k,
            at=at,
            residual=rng.normal(bias, 0.3, at.shape),
            weight=np.ones(len(at)),
            nearness=3 + np.sin(k),
            shift=(0.2, -0.1),
            confidence=0.9,
            agrees=k != 5,
        )
        for k in range(count)
    )


@pytest.fixture
def found():
    curve = ClockCurve(RIG.clock, '', LAGS, np.exp(-((LAGS + 0.04) ** 2) / 0.002))
    notes = (Note('other_sizes', '3 pairs have other sizes than <320x256>: they are left out'),)
    return Estimate(RIG, 0.97, 0.31, 150, 11, residuals(), curve, notes, 0.02)


@pytest.fixture
def samples():
    rng = np.random.default_rng(1)
    visible = cv2.GaussianBlur(rng.integers(0, 255, (200, 260)).astype(np.uint8), (0, 0), 6)
    visible = cv2.normalize(visible, None, 0, 255, cv2.NORM_MINMAX)
    thermal = cv2.warpPerspective(255 - visible, np.linalg.inv(MATRIX), (120, 96))
    return [report.Sample(f'pair {k}', thermal, visible) for k in range(2)]


def test_a_browser_shows_all_of_it_without_a_network(tmp_path, found, samples):
    page = tmp_path / 'report.html'
    report.write(page, found, samples, 'the bag <flight>', 'rig.yaml')
    shown = browser.shown(page, tmp_path)
    assert shown['problems'] == shown['fetched'] == shown['beyond'] == []
    assert shown['wide'] == 0
    assert shown['title'] == 'Calibration of the bag <flight>'
    assert len(shown['images']) == 4
    for complete, natural, width, height in shown['images']:
        assert complete
        assert natural == 260
        assert min(width, height) > 150
    assert len(shown['plots']) == 4
    for width, height, _ in shown['plots']:
        assert width > 400
        assert height > 200
    for text in ('11 of 12 pairs', 'known to 0.31 px', '-40.0 ± 2.0 ms', 'than <320x256>', 'refine: true'):
        assert text in shown['text']


def test_a_narrow_window_needs_no_scrolling_to_the_side(tmp_path, found, samples):
    page = tmp_path / 'report.html'
    report.write(page, found, samples, 'flight', 'rig.yaml')
    picture = tmp_path / 'picture.png'
    browser.screenshot(page, picture, (500, 1200))
    image = cv2.imread(str(picture))
    assert image.shape[:2] == (1200, 500)
    # something is drawn all the way down, and the page is white
    assert (image.reshape(6, 200, 500, 3) < 120).any((1, 2, 3)).all()
    assert np.median(image) > 240


def test_it_names_no_other_file_and_no_address(tmp_path, found, samples):
    report.write(tmp_path / 'report.html', found, samples, 'flight', 'rig.yaml')
    text = (tmp_path / 'report.html').read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert 'http' not in text
    assert '<script' not in text


def test_what_is_recommended_can_be_pasted_into_a_parameter_file(tmp_path, found):
    yaml = pytest.importorskip('yaml')
    report.write(tmp_path / 'report.html', found, [], 'flight', 'rig.yaml')
    text = re.search(r'<pre id="parameters">(.*?)</pre>', (tmp_path / 'report.html').read_text(), re.DOTALL)[
        1
    ]
    assert yaml.safe_load(text)['fusion_node']['ros__parameters'] == {
        'calibration': {'source': 'file', 'file': 'rig.yaml', 'refine': True},
        'sync': {'tolerance': 0.02, 'thermal_offset': -0.04},
    }


def test_nothing_found_is_said_and_what_could_be_had_is_shown(tmp_path, found, samples):
    curve = replace(found.clock, offset=None, reason='the clock offset cannot be told: no motion')
    nothing = replace(found, calibration=None, used=0, residuals=(), clock=curve, confidence=0.1)
    report.write(tmp_path / 'report.html', nothing, samples, 'flight', 'rig.yaml')
    text = (tmp_path / 'report.html').read_text()
    assert 'No rig was found: 150 pairs were looked at (confidence 0.10).' in text
    assert '<pre' not in text
    assert text.count('<svg') == 1
    assert text.count('<img') == 2


def test_the_rig_puts_outlines_where_the_visible_image_has_them(samples):
    sample = samples[0]
    steep = np.hypot(*(cv2.Sobel(sample.visible, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1))))
    aligned = RIG.alignment(sample.thermal.shape, sample.visible.shape).deformation(sample.visible.shape)
    on = {}
    for name, field in (('before', np.zeros_like(aligned)), ('after', aligned)):
        drawn = (outlined(sample.thermal, sample.visible, field) == OUTLINE).all(-1)
        assert 0.03 < drawn.mean() < 0.09
        on[name] = steep[drawn].mean() / steep.mean()
    assert on['after'] > 1.3 > on['before']


def test_a_constant_residual_points_one_way(found):
    text = report_plots.over_image(residuals(bias=(2.0, 0.0)), (200, 260))
    lines = re.findall(
        r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)" stroke="#d55e00"', text
    )
    moved = np.array(lines, float)
    assert len(moved) > 60
    assert ((moved[:, 2] - moved[:, 0]) > 5 * np.abs(moved[:, 3] - moved[:, 1])).mean() > 0.9


@pytest.mark.parametrize('span', [(0, 1), (-500, 500), (3.2, 3.3), (0, 1e-3), (-1, 19)])
def test_ticks_are_round_and_within(span):
    found = ticks(*span)
    assert 2 < len(found) <= 8
    assert found.min() >= span[0] - 1e-9
    assert found.max() <= span[1] + 1e-9
    step = found[1] - found[0]
    assert round(step / 10 ** np.floor(np.log10(step) + 1e-9), 6) in (1, 2, 5)


def test_pictures_are_images_of_their_size(samples):
    data = data_uri(np.zeros((900, 1440, 3), np.uint8)).removeprefix('data:image/jpeg;base64,')
    assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1).shape == (450, 720, 3)


def test_a_folder_that_is_not_there_is_named(tmp_path, found):
    with pytest.raises(FileError, match=r'nowhere/report\.html'):
        report.write(tmp_path / 'nowhere' / 'report.html', found, [], 'flight', 'rig.yaml')
