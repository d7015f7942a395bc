"""One tree, two worlds: what pip installs is what ROS finds, and both say the same about it."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import venv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from installation import NAME, REPOSITORY

import irvis_fusion_ros

PACKAGE = ElementTree.parse(REPOSITORY / 'package.xml').getroot()
EXECUTABLES = {
    'detect',
    'fusion_node',
    'replay',
    'make_flight',
    'fuse_images',
    'evaluate',
    'train',
    'benchmark',
    'export',
    'fuse_bag',
    'make_bag',
    'calibrate',
    'export_pairs',
}
# import name to name on PyPI, where they differ
DISTRIBUTIONS = {'cv2': 'opencv-python-headless', 'yaml': 'PyYAML', 'backports': 'backports.zstd'}
# imported by what an extra or the build of the wheels brings
OPTIONAL = {'onnx', 'onnxscript', 'matplotlib', 'av', 'onnxruntime', 'tensorrt', 'foxglove_msgs', 'ray'}
# messages for boxes where a distribution without vision_msgs has them
OPTIONAL |= {'visualization_msgs', 'geometry_msgs'}
# in the standard library of later versions of Python
LATER = {'compression'}


@pytest.fixture(scope='module')
def metadata(installed):
    """Return what pip knows about the package."""
    (found,) = importlib.metadata.distributions(path=[str(installed.site_packages)])
    return found.metadata


def run(command, environment, **options):
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_pip_and_ros_are_told_the_same(metadata):
    assert metadata['Name'] == PACKAGE.findtext('name') == NAME
    assert metadata['Version'] == PACKAGE.findtext('version') == irvis_fusion_ros.__version__
    assert metadata['Summary'] == PACKAGE.findtext('description')
    assert metadata.get('License-Expression', metadata.get('License')) == PACKAGE.findtext('license')
    maintainer = PACKAGE.find('maintainer')
    assert metadata['Maintainer'] == maintainer.text
    assert metadata['Maintainer-email'] == maintainer.get('email')


def test_the_changelog_begins_with_this_version():
    text = (REPOSITORY / 'CHANGELOG.rst').read_text()
    assert re.search(r'^(\d+\.\d+\.\d+)', text, re.MULTILINE)[1] == irvis_fusion_ros.__version__


def test_everything_the_code_imports_is_declared(metadata):
    declared = {element.text for element in PACKAGE.iter('exec_depend')}
    for requirement in metadata.get_all('Requires-Dist'):
        name, _, condition = requirement.partition(';')
        if 'extra' not in condition:
            declared.add(re.match(r'[\w.-]+', name)[0])
    known = (
        declared
        | set(sys.stdlib_module_names)
        | LATER
        | OPTIONAL
        | {NAME, 'parameter_arguments', 'irvis_launcher'}
    )
    for path in [*(REPOSITORY / NAME).rglob('*.py'), *(REPOSITORY / 'launch').glob('*.py')]:
        for module in imported(path):
            assert DISTRIBUTIONS.get(module, module) in known, f'{path} imports {module}'


def imported(path):
    """Return the top-level names of all modules that a file imports, wherever in it."""
    return imported_by(ast.parse(path.read_text()))


def imported_by(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition('.')[0]


# The rooms of the house, from the ground up (CONTRIBUTING.md): each uses those in the lines above its own.
ROOMS = (
    ('errors', 'config', 'lazy', 'memory', 'share', 'process', 'tuning', 'ros.topics'),
    ('geometry', 'io', 'dds_profile'),
    ('alignment',),
    ('imaging', 'calibration', 'pairing', 'fusion_result'),
    ('data', 'flight'),
    ('classical', 'networks'),
    ('rig',),
    ('backends',),
    ('detection',),
    ('backbones',),
    ('systems',),
    ('steps',),
    ('predictor',),
    ('cli',),
    ('ros', 'training', 'evaluation'),
    ('offline',),
    ('tools', 'irvis'),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
ROS = {
    'rclpy',
    'launch_ros',
    'message_filters',
    'cv_bridge',
    'ament_index_python',
    'rcl_interfaces',
    'builtin_interfaces',
    'sensor_msgs',
    'std_msgs',
    'diagnostic_msgs',
    'lifecycle_msgs',
}


def rooms_imported(path):
    """Yield the room of this package that each import of a file is of, and the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition('.')
            if package == NAME and rest != '__version__':
                yield room_of(rest), node.lineno


def room_of(module):
    """Return the room of a module: its folder, but for the names of topics, which everybody may read."""
    return 'ros.topics' if module.startswith('ros.topics') else module.partition('.')[0]


def test_every_room_uses_only_those_below_it():
    package, found = REPOSITORY / NAME, set()
    for path in package.rglob('*.py'):
        room = room_of('.'.join(path.relative_to(package).with_suffix('').parts))
        if room == '__init__':
            continue
        found.add(room)
        for used, line in rooms_imported(path):
            assert used == room or FLOOR[used] < FLOOR[room], f'{path}:{line}: {room} imports {used}'
    assert found == FLOOR.keys()


def test_only_the_node_imports_ros():
    package = REPOSITORY / NAME
    for path in package.rglob('*.py'):
        room = path.relative_to(package).parts[0]
        if room == 'ros' or not ROS & set(imported(path)):
            continue
        # a tool may talk to topics, but its --help is to be had without ROS
        assert room == 'tools', f'{path} imports ROS'
        tree = ast.parse(path.read_text())
        at_start = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)])
        assert not ROS & set(imported_by(at_start)), f'{path} imports ROS before it is needed'


def test_the_numpy_method_needs_no_torch():
    for path in (REPOSITORY / NAME / 'classical').glob('*.py'):
        assert 'torch' not in imported(path), path


@pytest.mark.slow
def test_the_numpy_method_and_the_node_run_without_torch(tmp_path):
    program = """
import sys
sys.modules['torch'] = None
import numpy as np
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.ros import build, options
image = np.zeros((64, 64), np.uint8)
print(Predictor('classical', targets='off')(image, image).fused.shape)
"""
    done = run([sys.executable, '-c', program], os.environ, cwd=REPOSITORY)
    assert done.stdout.strip() == '(64, 64)', done.stderr


def test_contributors_are_told_of_every_room():
    told = set(re.findall(r'^(\w+)(?:\.py|/) ', (REPOSITORY / 'CONTRIBUTING.md').read_text(), re.MULTILINE))
    folders = {path.parent.name for path in (REPOSITORY / NAME).glob('*/__init__.py')}
    assert folders <= told
    assert told <= FLOOR.keys()


def test_the_executables_are_where_ros2_run_looks(installed):
    files = [path for path in installed.executables.iterdir() if path.is_file()]
    assert {path.name for path in files if os.access(path, os.X_OK)} == EXECUTABLES
    assert {path.name for path in files} == {*EXECUTABLES, 'irvis_launcher.py'}


def test_nothing_but_what_belongs_there_is_installed(installed):
    assert (installed.prefix / 'share/ament_index/resource_index/packages' / NAME).is_file()
    for folder in ('launch', 'config', 'models'):
        expected = {p.name for p in (REPOSITORY / folder).iterdir() if p.is_file() and p.name[0] != '.'}
        # pip adds __pycache__ to whatever it installs
        assert {path.name for path in (installed.share / folder).iterdir() if path.is_file()} == expected
    scripts = {path.name for path in (installed.prefix / 'bin').iterdir()}
    assert scripts == {'irvis'}


def test_files_are_found_without_ros_and_without_its_variables(installed, tmp_path):
    program = 'from irvis_fusion_ros import share; print(share.folder()); print(share.ament_prefix())'
    environment = installed.environment()
    del environment['AMENT_PREFIX_PATH']
    done = run([sys.executable, '-c', program], environment, cwd=tmp_path)
    assert done.stdout.splitlines() == [str(installed.share), str(installed.prefix)], done.stderr


def test_ament_index_finds_the_package(installed, tmp_path):
    pytest.importorskip('ament_index_python')
    program = f'import ament_index_python as index; print(index.get_package_share_directory("{NAME}"))'
    done = run([sys.executable, '-c', program], installed.environment(), cwd=tmp_path)
    assert done.stdout.strip() == str(installed.share), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(EXECUTABLES))
def test_an_executable_runs_by_itself(installed, tmp_path, name):
    if name == 'fusion_node':
        pytest.importorskip('rclpy')
    done = run([installed.executables / name, '--help'], installed.environment(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert name in done.stdout


@pytest.mark.slow
def test_the_lower_floors_need_no_ros(tmp_path):
    program = """
import sys
for name in ('rclpy', 'sensor_msgs', 'cv_bridge', 'message_filters', 'ament_index_python'):
    sys.modules[name] = None
import numpy as np
from irvis_fusion_ros import dds_profile
from irvis_fusion_ros.evaluation import evaluate
from irvis_fusion_ros.io import bags
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.ros import options
from irvis_fusion_ros.tools import benchmark, fuse_images, make_flight, replay
from irvis_fusion_ros.tools import export_pairs, fuse_bag, make_bag
from irvis_fusion_ros.training import train
print(Predictor('classical')(np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)).fused.shape)
"""
    done = run([sys.executable, '-c', program], os.environ, cwd=REPOSITORY)
    assert done.stdout.strip() == '(64, 64)', done.stderr


@pytest.fixture
def other_python(installed, tmp_path):
    """Return a virtual environment that holds the executables, and a Python outside of it."""
    if sys.prefix == sys.base_prefix:
        pytest.skip('needs to run in a virtual environment')
    environment = tmp_path / 'environment'
    venv.create(environment, symlinks=True)
    (environment / 'lib' / NAME).mkdir()
    for path in installed.executables.iterdir():
        if path.is_file():
            (environment / 'lib' / NAME / path.name).write_bytes(path.read_bytes())
    return environment, Path(sys._base_executable)


def test_an_executable_enters_the_environment_it_was_installed_to(other_python, tmp_path):
    environment, python = other_python
    (tmp_path / 'probe.py').write_text(
        'import sys\ndef main():\n    print(sys.prefix, *sys.argv[1:])\n    return 7\n'
    )
    launcher = environment / 'lib' / NAME / 'launcher'
    launcher.write_text("import sys, irvis_launcher\nsys.exit(irvis_launcher.run('probe'))\n")
    paths = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    done = run([python, launcher, '--ros-args', '-r', 'a:=b'], {**os.environ, 'PYTHONPATH': paths})
    assert done.stdout.split() == [str(environment), '--ros-args', '-r', 'a:=b'], done.stderr
    assert done.returncode == 7


def test_ctrl_c_while_the_libraries_are_imported_is_one_line(tmp_path):
    (tmp_path / 'probe.py').write_text('import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n')
    script = "import sys, irvis_launcher; sys.argv[0] = 'fuse'; sys.exit(irvis_launcher.run('probe'))"
    paths = os.pathsep.join(map(str, (tmp_path, REPOSITORY, REPOSITORY / 'launchers')))
    done = run([sys.executable, '-c', script], {**os.environ, 'PYTHONPATH': paths})
    assert (done.returncode, done.stderr) == (130, 'fuse: interrupted\n')


def test_a_python_without_the_package_is_told_what_to_do(other_python):
    environment, python = other_python
    variables = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = run([python, environment / 'lib' / NAME / 'replay'], variables, cwd=environment)
    assert done.returncode == 1
    assert "has no module 'irvis_fusion_ros'" in done.stderr
    assert 'Activate the virtual environment' in done.stderr
    assert 'Traceback' not in done.stderr
