"""Reading between pixels must not move anything: the place of an object is what this package measures."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from tomoalign_core.geometry import centred_axis
from tomoalign_core.simulate.resample import sample

FRACTIONS = torch.linspace(-1, 1, 41)


def blobs(shift: torch.Tensor, width: float = 2.0) -> torch.Tensor:
    """Gaussian blobs (N, 33, 39) about the centre moved by shift (N, 2)."""
    u, v = torch.from_numpy(centred_axis(39)), torch.from_numpy(centred_axis(33))[:, None]
    du, dv = u - shift[:, 0, None, None], v - shift[:, 1, None, None]
    return torch.exp(-(du**2 + dv**2) / (2 * width**2))


def slide(images: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Images (N, V, U) whose content is moved back by shift (N, 2)."""
    _, rows, cols = images.shape
    v, u = torch.meshgrid(torch.arange(rows).to(images), torch.arange(cols).to(images), indexing="ij")
    return sample(images, u + shift[:, 0, None, None], v + shift[:, 1, None, None])


def test_centroids_move_by_the_shift_at_every_fraction_of_a_pixel():
    shift = torch.stack([FRACTIONS, FRACTIONS.flip(0)], -1).double()
    back = slide(blobs(shift), shift)
    mass = back.sum((1, 2))
    u = (back.sum(1) * torch.from_numpy(centred_axis(39))).sum(1) / mass
    v = (back.sum(2) * torch.from_numpy(centred_axis(33))).sum(1) / mass
    assert float(u.abs().max()) < 1e-6
    assert float(v.abs().max()) < 1e-6


def test_smooth_images_are_restored():
    shift = torch.tensor([[2.3, -1.6], [-4.5, 0.5]], dtype=torch.float64)
    still = blobs(torch.zeros_like(shift), width=4)
    torch.testing.assert_close(slide(blobs(shift, width=4), shift), still, atol=2e-3, rtol=0)


def test_slopes_are_read_exactly():
    u, v = torch.arange(20.0).double(), torch.arange(12.0).double()[:, None]
    plane = (3 * u - 2 * v + 1)[None]
    at_u = torch.rand(1, 5, 6, dtype=torch.float64) * 15 + 2
    at_v = torch.rand(1, 5, 6, dtype=torch.float64) * 7 + 2
    torch.testing.assert_close(sample(plane, at_u, at_v), 3 * at_u - 2 * at_v + 1)


def test_whole_pixels_are_moved_without_change_and_edges_repeat():
    image = torch.randn(1, 9, 11, generator=torch.Generator().manual_seed(0))
    moved = slide(image, torch.tensor([[2.0, -3.0]]))
    expected = ndimage.shift(image[0].numpy(), (3, -2), order=0, mode="nearest")
    np.testing.assert_array_equal(moved[0].numpy(), expected)


def test_each_image_is_read_at_its_own_places():
    images = torch.randn(3, 8, 10, generator=torch.Generator().manual_seed(1))
    shift = torch.randn(3, 2, generator=torch.Generator().manual_seed(2)) * 2
    together = slide(images, shift)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], slide(images[i : i + 1], shift[i : i + 1]))


def test_far_outside_the_nearest_edge_is_read():
    image = torch.arange(42.0).reshape(1, 6, 7)
    u, v = torch.tensor([[[-3.0, 1e6, -1e6]]]), torch.tensor([[[2.0, 1e6, -1e6]]])
    assert sample(image, u, v).tolist() == [[[14, 41, 0]]]
