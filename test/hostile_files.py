"""YAML, JSON and archives that attack whoever reads them, by name."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np

BILLION = 'a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{this}: &{this} [{", ".join([f"*{last}"] * 9)}]\n'
    for last, this in zip('abcdefgh', 'bcdefghi', strict=True)
)


def yamls(good):
    """Return YAML by name; good: content of the kind that the reader wants."""
    return {
        'a billion laughs': BILLION + good,
        'an alias': 'x: &x [1]\ny: *x\n' + good,
        'an anchor': 'x: &x [1]\n' + good,
        'a list in itself': 'x: &x [*x]\n' + good,
        'a merge': 'x: &x {a: 1}\ny:\n  <<: *x\n' + good,
        'a key twice': good + '\n' + good,
        'deep lists': 'x: ' + '[' * 100_000,
        'deep lists that end': 'x: ' + '[' * 500 + ']' * 500 + '\n' + good,
        'deep keys': '{a: ' * 100_000,
        'deep blocks': ''.join(' ' * depth + 'a:\n' for depth in range(900)),
        'deep dashes': '- ' * 50_000,
        'many values': 'x: [' + '1,' * 400_000 + ']\n' + good,
        'many documents': '---\na: 1\n' * 50_000,
        'two documents': good + '\n---\n' + good,
        'a long text': 'x: ' + 'a' * 900_000 + '\n' + good,
        'a long key': '? ' + 'a' * 900_000 + '\n: 1\n' + good,
        'a long number': 'x: ' + '9' * 60_000 + '\n' + good,
        'a number of sixty parts': 'x: 1' + ':59' * 5000 + '\n' + good,
        'a large number': 'x: 99999999999999999999999\n' + good,
        'a file of more than is read': 'x: 1\n' * 300_000,
        'a call': 'x: !!python/object/apply:os.system [true]\n' + good,
        'a module': 'x: !!python/module:os\n' + good,
        'a tag': 'x: !!int "a"\n' + good,
        'a tag of our own': 'x: !mine 3\n' + good,
        'a set': 'x: !!set {a, b}\n' + good,
        'binary': 'x: !!binary "////"\n' + good,
        'a date that is none': 'x: 2001-99-99\n' + good,
        'a key that is a list': '[1, 2]: 3\n' + good,
        'a key that is nothing': '? \n: 3\n' + good,
        'a zero byte': 'x: "\0"\n' + good,
        'control characters': 'x: \x07\n' + good,
        'tabs': '\tx: 1\n' + good,
        'nothing': '',
        'a comment': '# nothing',
        'a list': '[1, 2, 3]',
        'a number': '3',
        'a text': 'text',
        'a flag': 'true',
        'null': 'null',
        'no end': 'x: "',
        'a directive': '%YAML 9.9\n---\n' + good,
        'UTF-16': good.encode('utf-16'),
        'Latin-1': ('x: \u00e4\n' + good).encode('latin-1'),
        'bytes': bytes(range(256)),
        'zeros': bytes(100_000),
    }


def jsons(good):
    """Return JSON by name; good: content of the kind that the reader wants."""
    entries = json.loads(good)
    inside = good.strip()[1:-1]
    return {
        'deep lists': '[' * 200_000,
        'deep lists that end': '[' * 100_000 + ']' * 100_000,
        'deep objects': '[' + '{"a":' * 100_000,
        'many lists': '[' + '[],' * 2_000_000 + '[]]',
        'many objects': '[' + '{},' * 2_000_000 + '{}]',
        'many numbers': '[' + '1,' * 2_000_000 + '1]',
        'a long number': '[' + '9' * 100_000 + ']',
        'a long fraction': '[0.' + '9' * 100_000 + ']',
        'a long exponent': '[1e' + '9' * 50_000 + ']',
        'NaN': good.replace('1', 'NaN'),
        'Infinity': good.replace('1', '-Infinity'),
        '1e999': good.replace('1', '1e999'),
        '1e308': good.replace('1', '1e308'),
        'a key twice': good[:1] + '{"a": 1, "a": 2}, ' + inside + good[-1:],
        'a large number': good.replace('1', '9' * 38),
        'no end': good[:-1],
        'behind the end': good + '{}',
        'nothing': '',
        'an empty list': '[]',
        'an empty object': '{}',
        'a number': '3',
        'null': 'null',
        'a text': '"text"',
        'a list of null': '[null]',
        'a list of lists': '[[1, 2, 3]]',
        'an object of null': '{"a": null}',
        'a surrogate': '["\\ud800"]',
        'a zero': '[{"name": "\\u0000", "ir": "\\u0000", "vi": "a"}]',
        'a path above': good.replace('ir/', '../' * 50),
        'a long path': good.replace('ir/', 'a' * 5000 + '/'),
        'a long name': good.replace('"first', '"' + '7' * 6000),
        'the same twice': json.dumps([entries[0]] * 2) if isinstance(entries, list) else '[{}, {}]',
        'UTF-16': good.encode('utf-16'),
        'bytes': bytes(range(256)),
        'a file of more than is read': ' ' * 26_000_000 + good,
    }


def archive(entries, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', compression) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return file.getvalue()


def npy(header, data=b'', version=b'\1\0'):
    text = header.encode().ljust(118) + b'\n'
    return b'\x93NUMPY' + version + struct.pack('<H' if version == b'\1\0' else '<I', len(text)) + text + data


class Payload:
    """Does something where it is unpickled."""

    def __reduce__(self):
        return print, ('unpickled',)


def archives(good):
    """Return archives by name; good: one of the kind that the reader wants."""
    with zipfile.ZipFile(io.BytesIO(good)) as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    first = max(entries, key=lambda name: len(entries[name]))

    def replaced(data, compression=zipfile.ZIP_STORED):
        return archive({**entries, first: data}, compression)

    found = {
        'a bomb': replaced(bytes(400 << 20), zipfile.ZIP_DEFLATED),
        'another bomb': replaced(bytes(8 << 20), zipfile.ZIP_BZIP2),
        'compressed': archive(entries, zipfile.ZIP_DEFLATED),
        'no entries': archive({}),
        'other entries': archive({'a.npy': npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}")}),
        'many entries': archive({**entries, **{f'{number}.npy': b'' for number in range(20_000)}}),
        'an entry of nothing': replaced(b''),
        'an entry of text': replaced(b'text'),
        'a pickle': replaced(pickle.dumps(Payload())),
        'an entry above': archive({**entries, '../above.npy': b''}),
        'half': good[: len(good) // 2],
        'the end alone': good[-22:],
        'noise behind': good + bytes(70_000),
        'zeros': bytes(1 << 20),
        'nothing': b'',
        'text': b'PK\3\4 text',
        'sizes of 4 GB': good.replace(struct.pack('<I', len(entries[first])), b'\xff\xff\xff\xff'),
        'other sizes': good.replace(
            struct.pack('<I', len(entries[first])), struct.pack('<I', len(entries[first]) + 9)
        ),
        'encrypted': bytearray(good),
    }
    place = found['encrypted'].index(b'PK\1\2') + 8
    found['encrypted'][place] |= 1
    shapes = {
        'a negative shape': '(-1,)',
        'a shape that wraps': f'({2**62}, 4, 4)',
        'a shape of 4 GB': f'({1 << 32},)',
        'a shape that is none': "('a',)",
        'no shape': 'None',
        'a deep shape': '(' * 90 + ')' * 90,
        'many axes': '(' + '1,' * 60 + ')',
    }
    for name, shape in shapes.items():
        found[name] = replaced(
            npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}", bytes(9))
        )
    for name, kind in {
        'objects': "'|O'",
        'records': "[('a', '<f4')]",
        'a kind that is none': "'zz'",
        'texts': "'<U9'",
    }.items():
        found[name] = replaced(
            npy(f"{{'descr': {kind}, 'fortran_order': False, 'shape': (1,), }}", bytes(36))
        )
    found['a header that is code'] = replaced(npy('__import__("os").system("true")'))
    found['a header of 4 GB'] = replaced(b'\x93NUMPY\2\0\xff\xff\xff\xff{}')
    found['a version that is none'] = replaced(npy('{}', b'', b'\7\0'))
    return {name: bytes(data) for name, data in found.items()}


def safetensors(good):
    """Return files of weights by name; good: one that can be read."""
    length = int.from_bytes(good[:8], 'little')
    header, data = json.loads(good[8 : 8 + length]), good[8 + length :]
    name = next(key for key in header if key != '__metadata__')

    def made(changed, behind=data):
        text = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        return struct.pack('<Q', len(text)) + text + behind

    def with_tensor(**values):
        return made({**header, name: {**header[name], **values}})

    end = len(data)
    return {
        'a header of 2^64': b'\xff' * 8 + good[8:],
        'a header of 100 MB': struct.pack('<Q', 100 << 20) + good[8:],
        'a header beyond the file': struct.pack('<Q', len(good)) + good[8:],
        'a header of nothing': struct.pack('<Q', 0) + good[8:],
        'a deep header': made(b'{"a":' * 50_000),
        'deep metadata': made({**header, '__metadata__': {'irvis_fusion_ros': '[' * 100_000}}),
        'metadata that is a list': made({**header, '__metadata__': ['a']}),
        'metadata of numbers': made({**header, '__metadata__': {'irvis_fusion_ros': 3}}),
        'metadata of another kind': made({**header, '__metadata__': {'irvis_fusion_ros': '[1]'}}),
        'metadata of no system': made({**header, '__metadata__': {'irvis_fusion_ros': '{}'}}),
        'a list': made(b'[1, 2]'),
        'text': made(b'text'),
        'keys twice': made(b'{"a": 1, "a": 2}'),
        'a place beyond the file': with_tensor(data_offsets=[0, 1 << 60]),
        'a place below 0': with_tensor(data_offsets=[-4, 4]),
        'a place that goes back': with_tensor(data_offsets=[4, 0]),
        'places that overlap': made({**header, 'other': header[name]}),
        'a gap': made(header, b'1234' + data),
        'a shape of 2^62': with_tensor(shape=[1 << 62, 8]),
        'a shape below 0': with_tensor(shape=[-1]),
        'another shape': with_tensor(shape=[1]),
        'a kind that is none': with_tensor(dtype='Z9'),
        'numbers that are none': made(header, (np.full(end // 4 + 1, np.nan, np.float32).tobytes())[:end]),
        'numbers without an end': made(header, (np.full(end // 4 + 1, np.inf, np.float32).tobytes())[:end]),
        'half': good[: len(good) // 2],
        'zeros': bytes(1 << 20),
        'nothing': b'',
        'seven bytes': b'1234567',
        'a pickle': pickle.dumps(Payload()),
    }
