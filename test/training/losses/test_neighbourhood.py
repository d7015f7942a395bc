import torch

from irvis_fusion_ros.training.losses import neighbourhood


def line(column, size=48):
    """A step in brightness whose edge is at a column."""
    image = torch.zeros(1, 1, size, size)
    image[..., column:] = 1
    return image


def test_an_edge_is_seen_from_around_it():
    edges = neighbourhood.edge_strength(line(24))
    away = neighbourhood.offsets(edges)[0, :, 12]
    assert torch.allclose(away[0, [10, 14]], torch.tensor([1.5, -2.5]), atol=0.3)
    assert away[1].abs().max() < 1e-3


def test_alignment_is_best_where_edges_meet_and_its_gradient_leads_there():
    fixed, moving = (neighbourhood.edge_strength(line(at)) for at in (28, 22))
    at = {column: neighbourhood.edge_strength(line(column)) for column in range(18, 33, 2)}
    loss = {
        column: float(neighbourhood.dynamic_alignment(fixed, moving, edges)) for column, edges in at.items()
    }
    assert min(loss, key=loss.get) == 28
    assert loss[18] > loss[22] > loss[26]
    shift = torch.zeros((), requires_grad=True)
    weight = 0.5 + shift
    blend = weight * line(24) + (1 - weight) * line(22)
    neighbourhood.dynamic_alignment(fixed, moving, neighbourhood.edge_strength(blend)).backward()
    assert shift.grad < 0


def test_contrast_does_not_matter():
    assert torch.allclose(
        neighbourhood.edge_strength(line(24)), neighbourhood.edge_strength(1 - line(24)), atol=1e-5
    )


def test_nothing_is_asked_where_the_other_camera_sees_no_edge():
    flat = neighbourhood.edge_strength(torch.full((1, 1, 48, 48), 0.5))
    moving = neighbourhood.edge_strength(line(22))
    assert neighbourhood.dynamic_alignment(flat, moving, flat) == 0


def test_a_picture_has_no_edge_where_it_ends():
    image = line(24) * 0.5 + 0.5
    image[..., :10] = 0
    support = torch.ones_like(image)
    support[..., :12] = 0
    edges = neighbourhood.edge_strength(image, support)
    assert edges[..., :8].max() < 1e-4
    assert edges[..., 10:14].max() > 0.5


def test_edges_change_as_much_as_the_cameras_differ():
    fixed, moving = (neighbourhood.edge_strength(line(at)) for at in (28, 22))
    assert neighbourhood.edge_retention(fixed, moving, fixed) < 1e-6
    assert neighbourhood.edge_retention(fixed, moving, moving) > 0.05
