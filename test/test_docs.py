"""What the documentation and the example configurations say is what the code does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from installation import NAME, REPOSITORY

from irvis_fusion_ros.config import violation, walk
from irvis_fusion_ros.ros.options import NodeConfig

PAGES = [
    REPOSITORY / 'README.md',
    REPOSITORY / 'CONTRIBUTING.md',
    *sorted((REPOSITORY / 'docs').glob('*.md')),
]
PARAMETERS = {name: (spec, value) for name, spec, value in walk(NodeConfig())}


def test_generated_files_are_up_to_date():
    done = subprocess.run(
        [sys.executable, REPOSITORY / 'scripts' / 'generate_docs', '--check'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('name', ['fusion.yaml', 'jetson.yaml', 'mission.yaml', 'two_rigs.yaml'])
def test_parameter_files_set_what_exists_to_what_is_allowed(name):
    document = yaml.safe_load((REPOSITORY / 'config' / name).read_text())
    for section in document.values():
        for parameter, value in flat(section['ros__parameters']):
            spec, default = PARAMETERS[parameter]
            # the node declares types: an integer is no double
            assert type(value) is type(default), parameter
            assert violation(spec, value) is None, parameter


def test_the_default_file_holds_every_parameter_with_its_default():
    document = yaml.safe_load((REPOSITORY / 'config' / 'fusion.yaml').read_text())
    assert dict(flat(document['/**']['ros__parameters'])) == {n: v for n, (_, v) in PARAMETERS.items()}


def flat(parameters, prefix=''):
    """Yield dotted name and value."""
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from flat(value, f'{prefix}{name}.')
        else:
            yield prefix + name, value


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r'\]\(([^)#\s]+)[^)]*\)', page.read_text()):
        if not target.startswith(('http:', 'https:')):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_commands_name_what_exists(page):
    text = page.read_text()
    executables = {path.name for path in (REPOSITORY / 'launchers').iterdir()}
    for name in re.findall(rf'(?:^|`)(?:irvis|ros2 run {NAME}) (\w+)', text, re.MULTILINE):
        assert name in executables | {'NAME'}
    for name in re.findall(rf'ros2 launch {NAME} ([\w.]+)', text):
        assert (REPOSITORY / 'launch' / name).is_file()
    for name in re.findall(r'(?<![\w./:~-])((?:scripts|config|launch|docs)/[\w./-]+\w)', text):
        assert (REPOSITORY / name).exists(), name


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_arguments_and_parameters_that_are_set_exist(page):
    known = {*PARAMETERS, 'use_sim_time', *launch_arguments()}
    for name in re.findall(r'(?<![\w./])([\w.]+):=', page.read_text()):
        assert name in known
    for name in re.findall(r'ros2 param set \S+ (\S+)', page.read_text()):
        assert name in {*PARAMETERS, 'NAME'}


def launch_arguments():
    """Return the names of the arguments of fuse.launch.py that are no parameters, without importing it."""
    text = (REPOSITORY / 'launch' / 'fuse.launch.py').read_text()
    return re.findall(r"^    '(\w+)': \(", text, re.MULTILINE)


def test_layouts_show_topics_that_are_published():
    published = set(re.findall(r'`/?([\w/]+)`', (REPOSITORY / 'docs' / 'topics.md').read_text()))
    rviz = yaml.safe_load((REPOSITORY / 'config' / 'fusion.rviz').read_text())
    shown = {display['Topic']['Value'] for display in rviz['Visualization Manager']['Displays']}
    foxglove = json.loads((REPOSITORY / 'config' / 'foxglove.json').read_text())
    for panel in foxglove['configById'].values():
        modes = {**panel, **panel.get('imageMode', {})}
        shown |= {
            topic.strip('/')
            for key, topic in modes.items()
            if key.lower().startswith(('imaget', 'cal', 'topic'))
        }
    assert len(shown) > 5
    assert shown <= published
    assert placed(foxglove['layout']) == set(foxglove['configById'])


def placed(layout):
    """Return the panels of a Foxglove layout."""
    if isinstance(layout, str):
        return {layout}
    return placed(layout['first']) | placed(layout['second'])


def test_the_readme_shows_a_picture_of_ours_that_is_small():
    pictures = [p for p in Path(REPOSITORY / 'docs' / 'images').iterdir() if p.suffix in ('.jpg', '.png')]
    assert pictures
    assert all(picture.stat().st_size < 400_000 for picture in pictures)
    readme = (REPOSITORY / 'README.md').read_text()
    assert any(f'docs/images/{picture.name}' in readme for picture in pictures)
