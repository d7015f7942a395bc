"""Detectors in ONNX that find what they are told to, whatever the picture shows."""

import numpy as np


def constant(path, outputs, size=(64, 48), batch=1):
    """Write a network that takes 1 x 3 x height x width and gives these arrays."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    width, height = size
    given = helper.make_tensor_value_info('image', TensorProto.FLOAT, [batch, 3, height, width])
    nodes, values, results = [], [], []
    for index, array in enumerate(outputs):
        values.append(numpy_helper.from_array(np.asarray(array, np.float32), f'value{index}'))
        nodes.append(helper.make_node('Identity', [f'value{index}'], [f'out{index}']))
        results.append(helper.make_tensor_value_info(f'out{index}', TensorProto.FLOAT, list(array.shape)))
    graph = helper.make_graph(nodes, 'constant', [given], results, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def yolov8(boxes, scores, cells=20):
    """Lay boxes (centre x, y, width, height) and their scores of classes out as YOLOv8 does."""
    rows = np.zeros((cells, 4 + np.shape(scores)[1]), np.float32)
    rows[: len(boxes), :4] = boxes
    rows[: len(boxes), 4:] = scores
    return rows.T[None]


def description(path, model, **changes):
    """Write the YAML file of a detector of two classes at 64 x 48."""
    import yaml

    content = {'model': model.name, 'output': 'yolov8', 'size': [64, 48], 'classes': ['person', 'car']}
    path.write_text(yaml.safe_dump({**content, **changes}))
    return path
