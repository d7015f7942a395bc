"""
The options as ROS parameters: declared with descriptors, validated as a whole, changed while running.

What is refused names the parameter, its value and the limit; what is misspelt in a YAML file is said.
"""

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from irvis_fusion_ros.config import OptionSpec, problem_of, walk, with_values
from irvis_fusion_ros.ros.options import NodeConfig, conflict

# Read once, at start: a change would say something that is not so.
READ_ONLY = frozenset({'autostart'})
# Declared by rclpy itself.
_FOREIGN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


class ParameterError(ValueError):
    """A parameter that cannot be used; the text names it, its value and the remedy."""


class Parameters:
    """
    Declares every option as a parameter of `node` and keeps `config`, the values in force.

    apply(old config, new config) is called for a change before it is accepted; a ValueError refuses it.
    is_configured() tells whether options that are not live may be changed now.
    Raises ParameterError if the values at start cannot be used.
    """

    def __init__(
        self, node: Node, apply: Callable[[NodeConfig, NodeConfig], None], is_configured: Callable[[], bool]
    ):
        self._node = node
        self._apply = apply
        self._is_configured = is_configured
        self._options = {name: (spec, default) for name, spec, default in walk(NodeConfig())}
        self._check_overrides()
        for name, (spec, default) in self._options.items():
            node.declare_parameter(name, default, descriptor(name, spec, default))
        values = {name: node.get_parameter(name).value for name in self._options}
        self.config = with_values(NodeConfig(), values)
        problem = conflict(self.config)
        if problem:
            raise ParameterError(problem)
        node.add_on_set_parameters_callback(self._on_set)

    def _check_overrides(self) -> None:
        overrides = self._node._parameter_overrides  # there is no public way to see what was not declared
        for name, parameter in list(overrides.items()):
            if name.startswith(_FOREIGN):
                continue
            if name not in self._options:
                self._node.get_logger().warning(f"unknown parameter '{name}' is ignored{self._hint(name)}")
                continue
            spec, default = self._options[name]
            value = parameter.value
            if isinstance(default, float) and type(value) is int:  # `tolerance: 1` in a YAML file
                value = float(value)
                overrides[name] = Parameter(name, Parameter.Type.DOUBLE, value)
            if value is False and 'off' in (spec.choices or ()):  # `targets: off` in a YAML file
                value = 'off'
                overrides[name] = Parameter(name, Parameter.Type.STRING, value)
            if name.endswith('.roi') and isinstance(value, Sequence) and not isinstance(value, str):
                value = ', '.join(map(str, value))  # `roi: [0, 0, 640, 480]` in a YAML file
                overrides[name] = Parameter(name, Parameter.Type.STRING, value)
            problem = problem_of(name, spec, default, value)
            if problem:
                raise ParameterError(problem)

    def _hint(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._options, n=1, cutoff=0.5)
        # `tolerance` instead of `sync.tolerance`
        near = near or [
            known for known in self._options if known.rpartition('.')[2] == name.rpartition('.')[2]
        ]
        return f"; did you mean '{near[0]}'?" if near else ''

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {
            parameter.name: parameter.value for parameter in parameters if parameter.name in self._options
        }
        try:
            self.config = self._changed(changes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _changed(self, changes: Mapping[str, Any]) -> NodeConfig:
        current = {name: value for name, _, value in walk(self.config)}
        for name, value in changes.items():
            spec, default = self._options[name]
            problem = problem_of(name, spec, default, value)
            if problem:
                raise ParameterError(problem)
            if value != current[name] and not spec.live and self._is_configured():
                raise ParameterError(
                    f"'{name}' stays {current[name]!r}: it needs cleanup and configure "
                    f'(ros2 lifecycle set {self._node.get_fully_qualified_name()} deactivate, then cleanup, '
                    f'set it, then configure and activate)'
                )
        config = with_values(self.config, changes)
        problem = conflict(config)
        if problem:
            raise ParameterError(problem)
        if config != self.config:
            self._apply(self.config, config)
        return config


def descriptor(name: str, spec: OptionSpec, default: Any) -> ParameterDescriptor:
    """Return what `ros2 param describe` shows of an option."""
    unit = f' [{spec.unit}]' if spec.unit else ''
    message = ParameterDescriptor(description=spec.description + unit, read_only=name in READ_ONLY)
    if spec.choices is not None:
        message.additional_constraints = f'one of {", ".join(spec.choices)}'
    if spec.minimum is None and spec.maximum is None:
        return message
    if isinstance(default, float):
        low = -sys.float_info.max if spec.minimum is None else float(spec.minimum)
        high = sys.float_info.max if spec.maximum is None else float(spec.maximum)
        message.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    else:
        low = -(1 << 63) if spec.minimum is None else int(spec.minimum)
        high = (1 << 63) - 1 if spec.maximum is None else int(spec.maximum)
        message.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return message
