"""Projectors: exact for ellipsoids, rotate-and-sum for voxels with its adjoint, and filtered backprojection."""

from __future__ import annotations

import numpy as np
import torch

from tomoalign_core.geometry import Shifts, rotation
from tomoalign_core.simulate.phantoms import Ellipsoids

PATCH_SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192)
CHUNK = 16_000_000  # pixels of patches held at a time


def project_ellipsoids(
    phantom: Ellipsoids,
    angle_rad: np.ndarray,
    *,
    n_rows: int,
    n_cols: int,
    shifts: Shifts | None = None,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Project exactly, with the movement in the ray: float32 (N, n_rows, n_cols).

    The shadow of an ellipsoid on the detector is an ellipse with the projected form S = E Σ Eᵀ, and its chord is
    ``2 ρ sqrt(det Σ / det S) sqrt(1 - (p - c)ᵀ S⁻¹ (p - c))``: the closed form of the line integral (Kak & Slaney
    1988, section 3.1, in three dimensions). Shift and roll move the ellipse, so no pixel is ever interpolated.
    """
    center, form, peak = _shadows(phantom, np.asarray(angle_rad, float), shifts)
    center += np.array([(n_cols - 1) / 2, (n_rows - 1) / 2])
    half = np.sqrt(np.stack([form[..., 0, 0], form[..., 1, 1]], -1))
    need = np.ceil(2 * half.max(axis=0) + 2).astype(int)
    canvas = torch.zeros((len(center), n_rows + 2, n_cols + 2), device=device)
    sizes = np.array([[_patch(n, limit) for n, limit in zip(row, (n_cols, n_rows), strict=True)] for row in need])
    for size in np.unique(sizes, axis=0):
        members = np.flatnonzero((sizes == size).all(axis=1))
        per_chunk = max(1, CHUNK // int(len(center) * size[0] * size[1]))
        for part in np.split(members, range(per_chunk, len(members), per_chunk)):
            _paint(canvas, center[:, part], form[:, part], peak[:, part], half[:, part], size)
    return canvas[:, 1:-1, 1:-1].contiguous()


def _shadows(phantom: Ellipsoids, angle_rad: np.ndarray, shifts: Shifts | None) -> tuple[np.ndarray, ...]:
    """Centres (N, M, 2), forms (N, M, 2, 2) and peak line integrals (N, M) of the ellipses on the detector."""
    zero = np.zeros_like(angle_rad)
    to_detector = np.stack(
        [np.stack([np.cos(angle_rad), np.sin(angle_rad), zero], -1), np.stack([zero, zero, zero + 1], -1)], -2
    )
    center = np.einsum("nij,mj->nmi", to_detector, phantom.center)
    form = np.einsum("nij,mjk,nlk->nmil", to_detector, phantom.form, to_detector)
    peak = 2 * phantom.density * np.sqrt(np.linalg.det(phantom.form) / np.linalg.det(form))
    if shifts is not None:
        roll = rotation(shifts.roll_deg)
        center = np.einsum("nij,nmj->nmi", roll, center) + np.stack([shifts.dx_px, shifts.dy_px], -1)[:, None]
        form = np.einsum("nij,nmjk,nlk->nmil", roll, form, roll)
    return center, form, peak


def _patch(need: int, limit: int) -> int:
    """The size class of a patch; never more than the detector asks for."""
    return int(next(s for s in (*PATCH_SIZES, need) if s >= min(need, limit)))


def _paint(
    canvas: torch.Tensor, center: np.ndarray, form: np.ndarray, peak: np.ndarray, half: np.ndarray, size: np.ndarray
) -> None:
    """Add ellipses (N, G) to the canvas, which has a margin of one pixel that takes what falls outside."""
    n, rows, cols = canvas.shape
    start = np.floor(center - half)
    # an ellipse larger than the detector: its patch is the detector itself
    start = np.where(2 * half + 2 > size, 0, start)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(canvas.device, torch.float32)

    inverse = np.linalg.inv(form)
    begin, offset = tensor(start), tensor(start - center)
    u = offset[..., 0, None] + torch.arange(int(size[0]), device=canvas.device)
    v = offset[..., 1, None] + torch.arange(int(size[1]), device=canvas.device)
    a, b, c = (tensor(inverse[..., i, j])[..., None] for i, j in ((0, 0), (0, 1), (1, 1)))
    inside = (1 - c * v * v)[..., :, None] - (a * u * u)[..., None, :] - (2 * b * v)[..., :, None] * u[..., None, :]
    values = tensor(peak)[..., None, None] * inside.clamp_(min=0).sqrt_()
    col = (begin[..., 0, None].long() + 1 + torch.arange(int(size[0]), device=canvas.device)).clamp_(0, cols - 1)
    row = (begin[..., 1, None].long() + 1 + torch.arange(int(size[1]), device=canvas.device)).clamp_(0, rows - 1)
    view = torch.arange(n, device=canvas.device)[:, None, None, None]
    index = (view * rows + row[..., :, None]) * cols + col[..., None, :]
    canvas.view(-1).index_add_(0, index.reshape(-1), values.reshape(-1))


def project_volume(volume: torch.Tensor, angle_rad: torch.Tensor, *, n_cols: int) -> torch.Tensor:
    """Rotate-and-sum projections of a volume [z, y, x]: (N, Z, n_cols); differentiable, slices as channels."""
    return torch.stack([_project_one(volume, angle, n_cols) for angle in angle_rad])


def backproject(proj: torch.Tensor, angle_rad: torch.Tensor, *, n: int) -> torch.Tensor:
    """The exact adjoint of ``project_volume``: stack (N, Z, U) to volume (Z, n, n), by its own derivative."""
    volume = torch.zeros((proj.shape[1], n, n), dtype=proj.dtype, device=proj.device)
    for view, angle in zip(proj, angle_rad, strict=True):
        probe = torch.zeros_like(volume, requires_grad=True)
        image = _project_one(probe, angle, proj.shape[2])
        volume += torch.autograd.grad(image, probe, grad_outputs=view)[0]
    return volume


def _project_one(volume: torch.Tensor, angle: torch.Tensor, n_cols: int) -> torch.Tensor:
    depth = int(np.ceil(np.hypot(*volume.shape[1:])))
    u = torch.arange(n_cols, dtype=volume.dtype, device=volume.device) - (n_cols - 1) / 2
    t = torch.arange(depth, dtype=volume.dtype, device=volume.device) - (depth - 1) / 2
    c, s = torch.cos(angle).to(volume), torch.sin(angle).to(volume)
    x = (u * c - t[:, None] * s) * 2 / (volume.shape[2] - 1)
    y = (u * s + t[:, None] * c) * 2 / (volume.shape[1] - 1)
    grid = torch.stack([x, y], -1)[None]
    turned = torch.nn.functional.grid_sample(volume[None], grid, mode="bilinear", align_corners=True)
    return turned[0].sum(dim=1)


def ramp_filter(proj: torch.Tensor) -> torch.Tensor:
    """Ramp-filter the rows of a stack (…, U): the band-limited kernel of Kak & Slaney (1988), eq. 61.

    Rows are extended by their edge values, so that an object cut by the view does not ring at its edge.
    """
    n = proj.shape[-1]
    length = 1 << int(np.ceil(np.log2(max(64, 2 * n))))
    k = torch.arange(length, dtype=torch.float64)
    k = torch.minimum(k, length - k)
    kernel = torch.where(k % 2 == 1, -1 / (np.pi * k.clamp(min=1)) ** 2, 0.0)
    kernel[0] = 0.25
    response = torch.fft.rfft(kernel).real.to(proj)
    pad = length - n
    wide = torch.nn.functional.pad(proj.reshape(1, -1, n), (pad // 2, pad - pad // 2), mode="replicate")[0]
    filtered = torch.fft.irfft(torch.fft.rfft(wide) * response, n=length)
    return filtered[:, pad // 2 : pad // 2 + n].reshape(proj.shape)


def fbp(
    proj: torch.Tensor, angle_rad: torch.Tensor, *, n: int | None = None, axis_px: float | None = None
) -> torch.Tensor:
    """Filtered backprojection of a stack (N, V, U): volume [z, y, x] of V × n × n (n defaults to U).

    Views are taken as equally spaced. The axis stands at column ``axis_px``, by default (U - 1) / 2.
    """
    n_views, _, n_cols = proj.shape
    n = n or n_cols
    axis = (n_cols - 1) / 2 if axis_px is None else axis_px
    filtered = torch.nn.functional.pad(ramp_filter(proj), (1, 1))
    grid = torch.arange(n, dtype=proj.dtype, device=proj.device) - (n - 1) / 2
    volume = torch.zeros((proj.shape[1], n, n), dtype=proj.dtype, device=proj.device)
    for view, angle in zip(filtered, angle_rad, strict=True):
        u = (grid * torch.cos(angle).to(proj) + grid[:, None] * torch.sin(angle).to(proj) + axis + 1).reshape(-1)
        low = u.floor().clamp(0, n_cols)
        weight = (u - low).clamp(0, 1)
        at = low.long()
        volume += torch.lerp(view[:, at], view[:, at + 1], weight).reshape(volume.shape)
    span = float(angle_rad.max() - angle_rad.min()) * n_views / max(n_views - 1, 1)
    return volume * (min(span, np.pi) / n_views)
