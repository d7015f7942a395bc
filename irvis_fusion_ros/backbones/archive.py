"""
Checks an archive of `torch.export.save` (.pt2) before torch loads it.

Loading an archive may unpickle entries, evaluate expressions of sizes, and execute guards from the file. So
torch loads a copy that holds only what is needed to run plain tensor operators: no pickled entry, only
arithmetic in sizes, only plain identifiers as names, and no guards.
"""

import ast
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from irvis_fusion_ros.errors import FileError

PROGRAM = 'models/model.json'
CONFIGS = {
    'data/weights/model_weights_config.json': re.compile(r'weight_\d+'),
    'data/constants/model_constants_config.json': re.compile(r'tensor_\d+'),
}
# Every archive has pickled example inputs; they are checked, and left out of the copy.
EXAMPLES = 'data/sample_inputs/model.pt'
PLAIN = re.compile(
    r'archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)'
    r'|data/(weights/weight|constants/tensor)_\d+'
)
OPERATOR = re.compile(
    r'torch\.ops\.aten\.(?!from_file\b)\w+\.\w+|torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)'
    r'|torch\.sym_\w+|math\.(ceil|floor|trunc|sqrt)'
    r'|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)'
)
# Strings allowed in a program: names, and trees of inputs. Neither can call anything when it is executed as
# code.
NAME = re.compile(r'[\w.+-]*')
TREE = re.compile(r'[\w\s.,:"\\\[\]{}]*')
# Functions allowed in expressions of sizes (sympy, and torch.utils._sympy).
ARITHMETIC = {
    'Symbol', 'Integer', 'Rational', 'Add', 'Mul', 'Pow', 'Max', 'Min', 'Mod', 'PythonMod', 'FloorDiv',
    'CeilDiv', 'CleanDiv', 'ModularIndexing', 'Abs', 'floor', 'ceiling', 'Eq', 'Ne', 'Lt', 'Le', 'Gt', 'Ge',
    'And', 'Or', 'Not', 'Equality', 'Unequality', 'LessThan', 'GreaterThan', 'StrictLessThan',
    'StrictGreaterThan', 'true', 'false', 'oo', 'int_oo',
}  # fmt: skip
EXPRESSION = (
    ast.Expression, ast.Call, ast.Name, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp, ast.Compare,
    ast.operator, ast.unaryop, ast.cmpop, ast.Load,
)  # fmt: skip


def safe_copy(path: Path) -> io.BytesIO:
    """
    Return a copy of an archive that is safe for `torch.export.load`.

    Raises FileError, with the entry, for a file that is no such archive, or that holds anything pickled or
    anything but tensors and operators on them.
    """
    try:
        entries = _entries(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise FileError(f'{path}: expected an archive of torch.export.save ({error})') from error
    try:
        missing = [name for name in (PROGRAM, *CONFIGS) if name not in entries]
        if missing:
            pickled = [name for name in entries if name.endswith(('.pt', '.pkl'))]
            found = f'pickled entries ({", ".join(pickled)})' if pickled else f'{", ".join(entries)[:200]}'
            raise ValueError(
                f'expected an archive of torch.export.save with {", ".join(missing)}, found {found}; '
                'export the network with a newer torch'
            )
        for name, data in entries.items():
            if name in CONFIGS:
                _check_payload(name, _parse(name, data))
            elif name == EXAMPLES:
                _check_examples(data)
            elif name != PROGRAM and not PLAIN.fullmatch(name):
                raise ValueError(f"entry '{name}' is no part of a network of plain operators")
        entries[PROGRAM] = json.dumps(_check_program(_parse(PROGRAM, entries[PROGRAM]))).encode()
    except ValueError as error:
        raise FileError(f'{path}: {error}') from error
    entries[EXAMPLES] = b''
    return _write(entries)


def _entries(path: Path) -> dict[str, bytes]:
    """Return the entries by name, without the folder that all of them are in."""
    with zipfile.ZipFile(path) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
        return {entry.filename.partition('/')[2] or entry.filename: archive.read(entry) for entry in files}


def _write(entries: dict[str, bytes]) -> io.BytesIO:
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, 'w') as archive:
        for name, data in entries.items():
            archive.writestr(f'archive/{name}', data)
    copy.seek(0)
    return copy


def _parse(name: str, data: bytes) -> dict:
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError(f"entry '{name}' is no JSON object")
    return content


def _check_payload(name: str, content: dict) -> None:
    payloads = content.get('config')
    if not isinstance(payloads, dict):
        raise ValueError(f"entry '{name}' lists no payloads")
    for key, payload in payloads.items():
        plain = isinstance(payload, dict) and payload.get('use_pickle') is False
        if not plain or not CONFIGS[name].fullmatch(str(payload.get('path_name'))):
            raise ValueError(f"'{key}' of entry '{name}' is pickled or no tensor; nothing pickled is loaded")


def _check_examples(data: bytes) -> None:
    """Raise ValueError if the example inputs, which are never loaded, are anything but tensors."""
    if not data:
        return
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data))
    except Exception as error:  # the parser can raise anything on a damaged entry
        raise ValueError(f"entry '{EXAMPLES}' is damaged; nothing is loaded") from error
    if foreign:
        raise ValueError(f"pickled entry '{EXAMPLES}' would call {', '.join(foreign)}; nothing is loaded")


def _check_program(program: dict) -> dict:
    program = {**program, 'guards_code': []}
    for expression in program.get('range_constraints', {}):
        _check_expression(expression)
    return _check_part({key: value for key, value in program.items() if key != 'range_constraints'}) | {
        'range_constraints': program.get('range_constraints', {})
    }


def _check_part(value: Any, key: str = '') -> Any:
    """Return a part of a program without its free text. Raises ValueError for anything that is not plain."""
    if isinstance(value, dict):
        for name in value:
            _check_text(NAME, name)
        return {name: {} if name == 'metadata' else _check_part(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_check_part(each, key) for each in value]
    if isinstance(value, str):
        if key == 'expr_str':
            _check_expression(value)
        elif key in ('target', 'as_operator'):
            if not OPERATOR.fullmatch(value):
                raise ValueError(f"operator '{value}' is no plain operator on tensors (torch.ops.aten)")
        elif key in ('in_spec', 'out_spec'):
            _check_text(TREE, value)
            if '__enum__' in value:
                raise ValueError('inputs or outputs are of a class of their own')
        elif key != 'as_string':
            _check_text(NAME, value)
    return value


def _check_text(allowed: re.Pattern, text: str) -> None:
    if not allowed.fullmatch(text):
        raise ValueError(f'the program holds {text[:60]!r} where a name is expected')


def _check_expression(text: str) -> None:
    try:
        nodes = list(ast.walk(ast.parse(text, mode='eval')))
    except SyntaxError:
        nodes = [None]
    for node in nodes:
        known = isinstance(node, EXPRESSION)
        if isinstance(node, ast.Call):
            known = isinstance(node.func, ast.Name) and node.func.id in ARITHMETIC
        elif isinstance(node, ast.Name):
            known = node.id in ARITHMETIC or re.fullmatch(r'[su]\d+', node.id) is not None
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            known = node.value.isidentifier()
        if not known:
            raise ValueError(f'size {text[:60]!r} of the program is no arithmetic')
