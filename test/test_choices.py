"""What does not go together is refused in the same words by whoever is asked for it."""

import pytest

from irvis_fusion_ros.evaluation import evaluate
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.systems.registry import PRESETS
from irvis_fusion_ros.tools import benchmark, export, fuse_images

# Choices, by the names that the predictor and the node have for them, and the words.
REFUSED = [
    ({'preset': 'classic'}, f"unknown preset 'classic'; valid: {', '.join(PRESETS)}"),
    ({'device': 'gpu'}, "unknown device 'gpu'; valid: auto, cpu, cuda, cuda:N"),
    ({'preset': 'classical', 'backbone': 'max'}, "preset 'classical' has no backbone to choose"),
    (
        {'preset': 'unregistered', 'backbone': 'resnet'},
        "unknown backbone 'resnet'; valid: average, max, laplacian, gaf, cnn, or the path of the YAML file",
    ),
    (
        {'preset': 'unregistered', 'backbone': 'mine.onnx'},
        "backbone 'mine.onnx': name the YAML file beside it",
    ),
    (
        {'preset': 'classical', 'registration_first': 'busref'},
        "preset 'classical' registers by itself; leave it none",
    ),
    (
        {'preset': 'unregistered', 'registration_first': 'umf'},
        "unknown registration 'umf'; valid: none, classical, busref, swift, swift_lite, umf_cmgr, bsr, auto",
    ),
    ({'preset': 'swift', 'backend': 'tvm'}, "unknown backend 'tvm'; valid: auto, torch, onnx, tensorrt"),
    ({'preset': 'busref', 'backend': 'onnx'}, "preset 'busref' does not run by onnx; valid: auto, torch"),
    (
        {'preset': 'swift', 'device': 'cpu', 'backend': 'tensorrt'},
        "tensorrt needs a GPU, but the device is 'cpu': ask for cuda, or for torch",
    ),
]
# What each executable is given beside the choices, and the choices that it has.
ALL = frozenset({'preset', 'device', 'backbone', 'registration_first', 'backend'})
EXECUTABLES = {
    'fuse_images': (fuse_images.main, ('a', 'b', 'out'), ALL),
    'evaluate': (evaluate.main, ('data',), ALL - {'backend'}),
    'benchmark': (benchmark.main, (), ALL),
}


def told_by_executable(main, arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize('choices, words', REFUSED)
def test_the_predictor_says(choices, words):
    with pytest.raises(ValueError) as refused:
        Predictor(**choices)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    'name, choices, words',
    [
        (name, choices, words)
        for name, (_, _, known) in EXECUTABLES.items()
        for choices, words in REFUSED
        if choices.keys() <= known
    ],
)
def test_an_executable_says(name, choices, words, capsys):
    main, arguments, _ = EXECUTABLES[name]
    given = [f'--{option.replace("_", "-")}={value}' for option, value in choices.items()]
    assert told_by_executable(main, [*arguments, *given], capsys).startswith(f'{name}: error: {words}')


@pytest.mark.parametrize('preset', ['classic', 'busref'])
def test_export_says(preset, capsys):
    # it has a preset to choose; what it writes is run by onnx
    (words,) = (
        words
        for choices, words in REFUSED
        if choices in ({'preset': preset}, {'preset': preset, 'backend': 'onnx'})
    )
    assert told_by_executable(export.main, [preset], capsys).startswith(f'export: error: {words}')


@pytest.mark.parametrize('choices, words', REFUSED)
def test_the_parameters_of_the_node_say(choices, words):
    rclpy = pytest.importorskip('rclpy', reason='rclpy is not installed (extra `ros`)')
    from rclpy.parameter import Parameter

    from irvis_fusion_ros.ros.parameters import ParameterError, Parameters

    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    try:
        node = rclpy.create_node(
            'fusion_node',
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in choices.items()],
        )
        with pytest.raises(ParameterError) as refused:
            Parameters(node, lambda old, new: None, lambda: False)
    finally:
        rclpy.shutdown(context=context)
    option, _, told = str(refused.value).partition(': ')
    assert option in {f"'{name}' is {value!r}" for name, value in choices.items()}
    assert told.startswith(words)
