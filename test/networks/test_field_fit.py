import math

import pytest
import torch

from irvis_fusion_ros.networks import field_fit, layers
from irvis_fusion_ros.networks.affine import Affine
from irvis_fusion_ros.networks.field_fit import SmoothFit

HEIGHT, WIDTH, CELL = 12, 16, 8
MODEL = Affine((HEIGHT * CELL, WIDTH * CELL))
POINTS = layers.centres(torch.zeros(1, 1, HEIGHT, WIDTH), CELL)
TRUE = torch.tensor([[[3.0, -1.0, 2.0], [0.5, -2.0, -1.0]]])


def precise(value=100.0):
    """The same precision along both axes, everywhere."""
    return torch.tensor([value, value, 0.0]).expand(1, HEIGHT, WIDTH, 3)


def bump():
    """A smooth residual."""
    x, y = POINTS[0, ..., 0] / (WIDTH * CELL), POINTS[0, ..., 1] / (HEIGHT * CELL)
    wave = torch.cos(math.pi * 2 * x) * torch.cos(math.pi * y)
    return torch.stack([2 * wave, -wave], -1)[None]


@torch.no_grad()
def test_an_affine_is_found_exactly():
    fit = SmoothFit()
    found = fit.affine(MODEL.displacement(TRUE, POINTS), precise(), POINTS, MODEL, 0.1)
    assert torch.allclose(found, TRUE, atol=1e-3)


@torch.no_grad()
def test_outliers_do_not_move_it():
    mean = MODEL.displacement(TRUE, POINTS).clone()
    mean[:, 2:5, 3:7] += 20
    found = SmoothFit().affine(mean, precise(4.0), POINTS, MODEL, 0.1)
    plain = field_fit._affine(MODEL.basis(POINTS), mean, precise(4.0))
    assert (found - TRUE).abs().max() < 0.2 * (plain - TRUE).abs().max()


@torch.no_grad()
def test_edges_in_all_directions_make_a_shift_of_what_each_sees_across_itself():
    torch.manual_seed(0)
    angle = torch.rand(1, HEIGHT, WIDTH) * math.pi
    normal = torch.stack([torch.cos(angle), torch.sin(angle)], -1)
    along = torch.stack([-normal[..., 1], normal[..., 0]], -1)
    # what an edge says of the shift along itself is worth nothing
    mean = MODEL.displacement(TRUE, POINTS) + 3 * torch.randn(1, HEIGHT, WIDTH, 1) * along
    nx, ny = normal.unbind(-1)
    precision = 100 * torch.stack([nx * nx, ny * ny, nx * ny], -1)
    found = SmoothFit().affine(mean, precision, POINTS, MODEL, 0.01)
    assert (found - TRUE).abs().max() < 0.2


@torch.no_grad()
def test_a_smooth_residual_is_found_from_noisy_cells():
    torch.manual_seed(0)
    noise = 0.7 * torch.randn(1, HEIGHT, WIDTH, 2)
    found = SmoothFit().residual(bump() + noise, precise(1 / 0.7**2))
    error, measured = (found - bump()).norm(dim=-1).mean(), noise.norm(dim=-1).mean()
    assert error < 0.5 * measured


@torch.no_grad()
def test_what_nothing_is_known_of_stays_where_it_is():
    fit = SmoothFit()
    assert fit.residual(torch.randn(1, HEIGHT, WIDTH, 2), torch.zeros(1, HEIGHT, WIDTH, 3)).abs().max() < 1e-6
    nothing = fit.affine(
        torch.randn(1, HEIGHT, WIDTH, 2), torch.zeros(1, HEIGHT, WIDTH, 3), POINTS, MODEL, 1.0
    )
    assert nothing.abs().max() < 1e-6


@torch.no_grad()
def test_the_solution_is_that_of_the_matrix():
    torch.manual_seed(0)
    fit, height, width = SmoothFit(), 6, 7
    mean = torch.randn(1, height, width, 2)
    factor = torch.randn(1, height, width, 2, 2)
    full = factor @ factor.mT + 0.1 * torch.eye(2)
    precision = torch.stack([full[..., 0, 0], full[..., 1, 1], full[..., 0, 1]], -1)
    rows, columns = (field_fit._cosines(side, mean) for side in (height, width))
    deviation = fit._deviation(height, width, mean)
    modes = torch.einsum('uy,vx,uv->yxuv', rows, columns, deviation).reshape(height * width, -1)
    design = torch.block_diag(modes, modes)
    weight = torch.cat(
        [torch.cat([torch.diag(full[0, ..., i, j].flatten()) for j in range(2)], 1) for i in range(2)]
    )
    normal = design.T @ weight @ design + torch.eye(design.shape[1])
    expected = design @ torch.linalg.solve(normal, design.T @ weight @ mean[0].movedim(-1, 0).flatten())
    found = field_fit._fit_residual(mean, precision, rows, columns, deviation)[0].movedim(-1, 0).flatten()
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.slow
def test_the_gradient_is_that_of_the_solution(monkeypatch):
    monkeypatch.setattr(field_fit, 'ITERATIONS', 60)
    torch.manual_seed(0)
    mean = torch.randn(1, 4, 5, 2, dtype=torch.float64, requires_grad=True)
    factor = torch.randn(1, 4, 5, 2, 2, dtype=torch.float64)
    full = factor @ factor.mT + 0.1 * torch.eye(2)
    precision = torch.stack([full[..., 0, 0], full[..., 1, 1], full[..., 0, 1]], -1).requires_grad_()
    rows, columns = (field_fit._cosines(side, mean.detach()) for side in (4, 5))
    deviation = SmoothFit().double()._deviation(4, 5, mean.detach()).detach().requires_grad_()
    inputs = (mean, precision, rows, columns, deviation)
    assert torch.autograd.gradcheck(field_fit._fit_residual, inputs, atol=1e-5)


def test_the_gradient_is_finite_where_everything_is_known():
    fit = SmoothFit()
    mean = torch.zeros(1, HEIGHT, WIDTH, 2, requires_grad=True)
    precision = precise().clone().requires_grad_()
    fit.residual(mean, precision).square().sum().backward()
    values = (mean.grad, precision.grad, fit.size.grad, fit.length.grad)
    assert all(value.isfinite().all() for value in values)


@pytest.mark.parametrize('deviation', [0.5, 2.0])
def test_a_capped_precision_is_that_of_the_sum_of_both_variances(deviation):
    full = torch.tensor([[4.0, 1.0], [1.0, 2.0]])
    packed = torch.tensor([4.0, 2.0, 1.0]).expand(1, 1, 1, 3)
    expected = torch.linalg.inv(torch.linalg.inv(full) + deviation**2 * torch.eye(2))
    xx, yy, xy = field_fit._capped(packed, deviation)[0, 0, 0]
    assert torch.allclose(torch.tensor([[xx, xy], [xy, yy]]), expected, atol=1e-5)
