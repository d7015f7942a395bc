"""Archives that were made to do harm: refused, and nothing of them is run."""

import io
import json
import pickle
import zipfile

import pytest
import torch
from networks import DESCRIPTION, own, pt2

from irvis_fusion_ros.backbones import archive
from irvis_fusion_ros.backbones import table as backbones
from irvis_fusion_ros.errors import FileError

WEIGHTS = 'data/weights/model_weights_config.json'
CONSTANTS = 'data/constants/model_constants_config.json'


class Payload:
    """Creates a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.fixture
def refused(tmp_path):
    """Load an archive whose entries were replaced; it has to be refused and must not have done anything."""
    witness = tmp_path / 'executed'

    def load(words, **replaced):
        name = own(tmp_path, '.pt2', 'weighed')
        entries = {**entries_of(pt2('weighed')), **{key: value for key, value in replaced.items() if value}}
        write(tmp_path / 'mine.pt2', entries)
        with pytest.raises(FileError, match=words) as error:
            backbones.build(name)
        assert 'mine.pt2: ' in str(error.value)
        assert not witness.exists()

    load.witness = witness
    return load


def entries_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        return {name.partition('/')[2]: whole.read(name) for name in whole.namelist()}


def write(path, entries):
    with zipfile.ZipFile(path, 'w') as whole:
        for name, data in entries.items():
            whole.writestr(f'mine/{name}', data)


def pickled(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def edited(name, edit):
    """Return the entry of a good archive, with a change to its JSON."""
    content = json.loads(entries_of(pt2('weighed'))[name])
    edit(content)
    return {name: json.dumps(content).encode()}


def call(witness):
    return f"open({str(witness)!r}, 'w')"


def test_the_payload_would_work(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / 'executed'))).close()
    assert (tmp_path / 'executed').exists()


@pytest.mark.slow
def test_example_inputs_are_not_loaded_and_harmful_ones_are_refused(refused):
    replaced = {archive.EXAMPLES: pickled(Payload(refused.witness))}
    refused(r"pickled entry 'data/sample_inputs/model.pt' would call .*open; nothing is loaded", **replaced)
    refused('damaged', **{archive.EXAMPLES: pickle.dumps(Payload(refused.witness))})


def test_pickled_weights_are_refused(refused):
    def pickle_it(content):
        for payload in content['config'].values():
            payload['use_pickle'] = True

    weight = {'data/weights/weight_0': pickled(Payload(refused.witness))}
    refused('pickled or no tensor; nothing pickled is loaded', **edited(WEIGHTS, pickle_it), **weight)


@pytest.mark.parametrize('prefix', ['custom_obj_0', 'opaque_obj_0'])
def test_pickled_objects_among_the_constants_are_refused(refused, prefix):
    def add(content):
        content['config']['harm'] = {
            'path_name': prefix, 'is_param': False, 'use_pickle': False, 'tensor_meta': None
        }  # fmt: skip

    payload = {f'data/constants/{prefix}': pickle.dumps(Payload(refused.witness))}
    refused('pickled or no tensor', **edited(CONSTANTS, add), **payload)
    refused('is no part of a network of plain operators', **payload)


@pytest.mark.parametrize('name', ['data/weights/model.pt', 'data/aotinductor/model/a.so', 'extra/a.pkl'])
def test_entries_that_no_plain_network_has_are_refused(refused, name):
    refused(rf"entry '{name}' is no part", **{name: pickled(Payload(refused.witness))})


def test_an_archive_of_an_older_torch_is_all_pickles_and_refused(tmp_path):
    path = tmp_path / 'mine.pt2'
    path.with_suffix('.yaml').write_text(DESCRIPTION)
    witness = tmp_path / 'executed'
    with zipfile.ZipFile(path, 'w') as whole:
        whole.writestr('serialized_exported_program.json', '{}')
        whole.writestr('serialized_state_dict.pt', pickled(Payload(witness)))
    with pytest.raises(FileError, match=r'found pickled entries \(serialized_state_dict.pt\)'):
        backbones.build(str(path.with_suffix('.yaml')))
    assert not witness.exists()


def test_torchscript_and_checkpoints_are_refused(tmp_path):
    path = tmp_path / 'mine.pt2'
    path.with_suffix('.yaml').write_text(DESCRIPTION)
    witness = tmp_path / 'executed'
    path.write_bytes(pickled(Payload(witness)))
    with pytest.raises(FileError, match=r'found pickled entries \(data.pkl\)'):
        backbones.build(str(path.with_suffix('.yaml')))
    path.rename(tmp_path / 'mine.pt')
    with pytest.raises(FileError, match='TorchScript and pickled checkpoints are not loaded'):
        backbones.build(str(path.with_suffix('.yaml')))
    assert not witness.exists()


def test_sizes_are_arithmetic(refused):
    def edit(content):
        values = content['graph_module']['graph']['tensor_values'].values()
        sizes = [size for value in values for size in value['sizes'] if 'as_expr' in size]
        sizes[0]['as_expr']['expr_str'] = call(refused.witness)

    refused('is no arithmetic', **edited(archive.PROGRAM, edit))


def test_ranges_are_arithmetic(refused):
    def edit(content):
        content['range_constraints'][call(refused.witness)] = {'min_val': 1, 'max_val': 2}

    refused('is no arithmetic', **edited(archive.PROGRAM, edit))


@pytest.mark.parametrize('operator', ['torch.load', 'torch.ops.aten.from_file.default', '_operator.call'])
def test_operators_are_those_of_tensors(refused, operator):
    def edit(content):
        content['graph_module']['graph']['nodes'][0]['target'] = operator

    refused(f"operator '{operator}' is no plain operator", **edited(archive.PROGRAM, edit))


def test_names_are_names(refused):
    def edit(content):
        content['graph_module']['module_call_graph'][0]['signature']['forward_arg_names'] = [
            f'a={call(refused.witness)}', 'b'
        ]  # fmt: skip

    refused('where a name is expected', **edited(archive.PROGRAM, edit))


def test_classes_of_inputs_are_not_imported(refused):
    def edit(content):
        signature = content['graph_module']['module_call_graph'][0]['signature']
        signature['in_spec'] = signature['in_spec'].replace('null', '{\\"__enum__\\": true}', 1)

    refused('a class of their own', **edited(archive.PROGRAM, edit))


def test_guards_of_an_archive_are_not_executed(tmp_path):
    witness = tmp_path / 'executed'
    name = own(tmp_path, '.pt2', 'weighed')
    entries = entries_of(pt2('weighed'))
    entries |= edited(archive.PROGRAM, lambda content: content.update(guards_code=[call(witness)]))
    write(tmp_path / 'mine.pt2', entries)
    backbones.build(name)
    assert not witness.exists()
