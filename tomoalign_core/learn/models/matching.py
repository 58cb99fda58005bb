"""The arithmetic between feature and shift: gauge, matching of neighbours and of profiles, weighing together.

No weights live here; all is differentiable, and works for any number of views and any size.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import FunctionCtx

from tomoalign_core.simulate.resample import sample

LAGS = (1, 2, 3)  # views to either side that a view is matched with
AWAY = (0, 1, 2, 3, 4, 6)  # views between which products are needed for that: LAGS, and from one neighbour to the other
LEVER_PX = 20.0  # roll is counted in px at this distance from the centre, so that it weighs like a shift
BEND_LIMIT_PX = 4.0  # beyond, a match of neighbours has lost its way


def without_gauge(
    tracks: torch.Tensor, angle_rad: torch.Tensor, *, axis: str, rounds: int = 3
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a reweighted least-squares fit of the gauge functions out of tracks (B, N, K).

    Views far off the fit count less in the next round (weights 1 / (1 + |r| / s), s the median of |r|): a plain fit
    is pulled by its worst views. The weights carry no gradient. A ridge of 1e-6 keeps narrow wedges solvable.

    Returns
    -------
    rest : (B, N, K), and the fit's constant (B, 1, K): in u, where the rotation axis stands.
    """
    one = torch.ones_like(angle_rad)
    basis = torch.stack([one, angle_rad.cos(), angle_rad.sin()], -1) if axis == "dx" else one[..., None]
    basis = basis[:, None]  # B, 1, N, g
    values = tracks.transpose(1, 2)[..., None]  # B, K, N, 1
    ridge = 1e-6 * tracks.shape[1] * torch.eye(basis.shape[-1], device=tracks.device, dtype=tracks.dtype)
    weight = torch.ones_like(values)
    for _ in range(rounds):
        weighted = (weight * basis).mT
        fit = torch.linalg.solve(weighted @ basis + ridge, weighted @ values)
        rest = values - basis @ fit
        with torch.no_grad():
            size = rest.abs()
            weight = 1 / (1 + size / (size.median(dim=2, keepdim=True).values + 1e-3))
    return rest[..., 0].transpose(1, 2), fit[..., 0, :].transpose(1, 2)


def match_neighbours(
    clean: torch.Tensor,
    image: torch.Tensor,
    angle_rad: torch.Tensor,
    px: float,
    weight: torch.Tensor,
    middle: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far each view stands off the mean of the two views at ± lag, by one Gauss-Newton step.

    The mean of two views to either side is a template free, to first order, of the object's own turning; what is left
    of that, ``(1 - cos lag) u`` at column u, is taken out of the misfit. dx, dy and roll are found together. Curvatures
    come from products of *different* views, whose noise is independent, so that noise does not pass for structure.

    Parameters
    ----------
    clean, image : (B, Q, N, V, U), linear features of views without and with their noise: templates, and what is
        matched with them.
    px : size of a feature pixel in detector px.
    weight : (B, V, U), the pixels that count: those that all views show.
    middle : (B,), the row about which views turn, px from the centre.

    Returns
    -------
    bend : (B, N, L, 3), (dx, dy, roll x LEVER_PX) in px less their means at ± lag; 0 where a neighbour is missing.
    sure : (B, N, L, 3), the part of the gradients' energy that neighbours agree on; -1 where one is missing.
    """
    b, _, n, rows, cols = image.shape
    g, view = clean.transpose(1, 2), image.transpose(1, 2)
    gu = F.pad((g[..., 2:] - g[..., :-2]) / 2, (1, 1))
    gv = F.pad((g[..., 2:, :] - g[..., :-2, :]) / 2, (0, 0, 1, 1))
    u = (torch.arange(cols, device=g.device) - (cols - 1) / 2) * px
    v = rows_from(middle, rows, px)[:, None, None]
    turn = (u * gv - v * gu) / LEVER_PX
    parts = torch.stack([gu, gv, turn, g, u * gu, view], 2) * weight[:, None, None, None]
    parts = parts.flatten(3)  # B, N, 6, pixels
    scale = parts[:, :, :2].square().mean(dim=(1, 2, 3))[:, None, None, None] * parts.shape[-1] + 1e-12
    products = {away: found / scale for away, found in zip(AWAY, _Products.apply(parts), strict=True)}
    itself = products[0]
    bends, sures = [], []
    for lag in LAGS:
        if n <= 2 * lag:
            bends.append(g.new_zeros(b, n, 3))
            sures.append(g.new_full((b, n, 3), -1.0))
            continue
        # products with the template's gradients, the mean of both neighbours': with itself, and with the view
        near, far = products[lag], products[2 * lag]
        own = (itself[:, : -2 * lag] + itself[:, 2 * lag :] + far + far.mT) / 4
        cross = (near[:, :-lag] + near[:, lag:].mT) / 2
        slope = own[..., :3, 3] - cross[..., :3, 5]
        power = own[..., :3, :3].diagonal(dim1=-2, dim2=-1)
        curve = (cross[..., :3, :3] + cross[..., :3, :3].mT) / 2
        agreed = curve.diagonal(dim1=-2, dim2=-1)
        floor = torch.maximum(agreed, 0.2 * power) + 1e-3 * power.mean(-1, keepdim=True) + 1e-6
        # off-diagonal terms are held below the geometric mean of the diagonal, so that the system has a solution
        most = 0.9 * (floor[..., :, None] * floor[..., None, :]).sqrt()
        system = curve.clamp(-most / 2, most / 2)
        system = system - torch.diag_embed(system.diagonal(dim1=-2, dim2=-1)) + torch.diag_embed(floor)
        half_turn = (angle_rad[:, 2 * lag :] - angle_rad[:, : -2 * lag]) / 2
        turning = (cross[..., :3, 4] + cross[..., 4, :3]) / 2 * ((1 - half_turn.cos()) / px)[..., None]
        step = torch.linalg.solve(system, (slope - turning)[..., None])[..., 0] * px
        bends.append(F.pad(step.clamp(-BEND_LIMIT_PX, BEND_LIMIT_PX), (0, 0, lag, lag)))
        sures.append(F.pad(agreed / (power + 1e-6), (0, 0, lag, lag), value=-1.0))
    return torch.stack(bends, 2), torch.stack(sures, 2)


class _Products(torch.autograd.Function):
    """Inner products of the parts (B, N, K, P) of each view and of that ``AWAY`` views on: (B, N - away, K, K) each.

    Its own gradient: that of slices, as torch makes it, fills a tensor of the size of all views for each of them.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.save_for_backward(parts)
        n = parts.shape[1]
        return tuple(parts[:, : max(n - away, 0)] @ parts[:, away:].mT for away in AWAY)

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> torch.Tensor:
        (parts,) = ctx.saved_tensors
        n = parts.shape[1]
        found = torch.zeros_like(parts)
        for away, slope in zip(AWAY, slopes, strict=True):
            found[:, : max(n - away, 0)] += slope @ parts[:, away:]
            found[:, away:] += slope.mT @ parts[:, : max(n - away, 0)]
        return found


def fuse(absolute: torch.Tensor, off: torch.Tensor, bend: torch.Tensor, trust: torch.Tensor) -> torch.Tensor:
    """Weigh absolute estimates, reprojections and bends together by least squares.

    Minimises ``Σ t₀ (x - absolute)² + Σ t₁ (x - off)² + Σ t₂ (H x - bend)²`` where H x is x less its mean at ± lag:
    neighbours know the fast part of a movement well, centroids and reprojections its slow part.

    Parameters
    ----------
    absolute : (B, N, A).
    off : (B, N, S, A).
    bend : (B, N, L, A).
    trust : (B, N, 1 + S + L, A), inverse variances up to a common factor, in this order.
    """
    scales = off.shape[2]
    direct = torch.cat([absolute[:, :, None], off], 2)
    by_direct, by_bend = trust[:, :, : 1 + scales], trust[:, :, 1 + scales :]
    n = absolute.shape[1]
    normal = torch.diag_embed(by_direct.sum(2).transpose(1, 2))  # B, A, N, N
    right = (by_direct * direct).sum(2).transpose(1, 2)
    for number, lag in enumerate(LAGS):
        if n <= 2 * lag:
            continue
        i = torch.arange(n - 2 * lag, device=absolute.device)
        h = absolute.new_zeros(n - 2 * lag, n)
        h[i, i + lag], h[i, i], h[i, i + 2 * lag] = 1.0, -0.5, -0.5
        weight = by_bend[:, lag:-lag, number].transpose(1, 2)  # B, A, m
        normal = normal + (h.T * weight[..., None, :]) @ h
        right = right + (weight * bend[:, lag:-lag, number].transpose(1, 2)) @ h
    return torch.linalg.solve(normal, right[..., None])[..., 0].transpose(1, 2)


def search_profiles(profile: torch.Tensor, reach: int) -> torch.Tensor:
    """Whole-px vertical shifts (B, N, P) of profiles (B, N, P, V) against their mean, by least squares.

    Only rows that all views show within ``reach`` px are compared, so an object that leaves the view does no harm. Not
    a normalised correlation: that cannot tell a shift of a ramp, such as the tapering end of a pillar, from a factor.
    """
    rows = profile.shape[-1]
    reach = min(reach, rows // 4)
    length = rows - 2 * reach
    with torch.no_grad():
        lags = torch.arange(-reach, reach + 1, device=profile.device)
        windows = profile.unfold(-1, length, 1)  # B, N, P, lags, length
        power = windows.square().sum(-1)
        shift = torch.zeros(profile.shape[:3], device=profile.device, dtype=profile.dtype)
        for _ in range(3):
            template = _read(profile, shift, reach, length).mean(dim=1, keepdim=True)
            misfit = power - 2 * (windows * template[..., None, :]).sum(-1)
            shift = lags[misfit.argmin(-1)].to(profile)
            shift = shift - shift.median(dim=1, keepdim=True).values
    return shift


def match_profiles(profile: torch.Tensor, start: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Vertical shifts (B, N, P) in px of profiles (B, N, P, V) against their mean, by Gauss-Newton from ``start``.

    What a detector row sees of a rigid object does not change with the angle. The mean is that of the profiles as
    registered so far; ``weight`` (B, V) says which rows count.
    """
    rows = profile.shape[-1]
    shift = start
    weight = weight[:, None, None]
    for _ in range(4):
        moved = _read(profile, shift, 0, rows)
        template = moved.mean(dim=1, keepdim=True)
        slope = torch.gradient(template, dim=-1)[0] * weight
        step = (slope * (template - moved)).sum(-1) / ((slope * slope).sum(-1) + 1e-3 * rows)
        shift = shift + step.clamp(-2, 2)
        shift = shift - shift.mean(dim=1, keepdim=True)
    return shift


def _read(profile: torch.Tensor, shift: torch.Tensor, start: int, length: int) -> torch.Tensor:
    """Profiles (…, V) read at ``start + shift + 0 … length - 1``, linearly between rows, the ends repeated."""
    at = shift[..., None] + torch.arange(start, start + length, device=profile.device)
    at = torch.nan_to_num(at).clamp(0, profile.shape[-1] - 1.001)  # a network gone astray is told by its loss
    low = at.floor().long()
    return torch.lerp(profile.gather(-1, low), profile.gather(-1, low + 1), at - low)


@torch.no_grad()
def undo(
    proj: torch.Tensor, shift: torch.Tensor, roll_rad: torch.Tensor, *, blank: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put the content of stacks (B, N, V, U) back: what was turned by the roll, then shifted; by cubic convolution.

    Returns the stacks, outside the detector the nearest edge value or, with ``blank``, zero, and what lies inside.
    """
    rows, cols = proj.shape[2:]
    u = torch.arange(cols, device=proj.device) - (cols - 1) / 2
    v = torch.arange(rows, device=proj.device) - (rows - 1) / 2
    at = turned(torch.stack(torch.meshgrid(u, v, indexing="xy"), -1), roll_rad.reshape(-1, 1, 1))
    at = torch.nan_to_num(at + shift.reshape(-1, 1, 1, 2), posinf=1e4, neginf=-1e4)
    inside = ((at[..., 0].abs() <= cols / 2) & (at[..., 1].abs() <= rows / 2)).view(proj.shape)
    moved = sample(proj.flatten(0, 1), at[..., 0] + (cols - 1) / 2, at[..., 1] + (rows - 1) / 2).view(proj.shape)
    return (moved * inside if blank else moved), inside


def rows_from(middle: torch.Tensor, rows: int, px: float) -> torch.Tensor:
    """Rows of a frame in px from a ``middle`` (B,), which counts from the frame's centre: (B, V, 1)."""
    return ((torch.arange(rows, device=middle.device) - (rows - 1) / 2) * px - middle[:, None])[..., None]


def about(shift: torch.Tensor, roll_rad: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """Shifts (B, N, 2) of views that turn about a ``row`` (B,) instead of the centre, px from it; the same movement."""
    lever = torch.stack([torch.zeros_like(row), row], -1)[:, None].expand_as(shift)
    return shift + turned(lever, roll_rad) - lever


def bell(reach: int, width: float) -> torch.Tensor:
    """A Gaussian of that width at -reach … reach, its sum 1."""
    values = (-(torch.arange(-reach, reach + 1) / width).square() / 2).exp()
    return values / values.sum()


def blurred(image: torch.Tensor, width: float) -> torch.Tensor:
    """Views (B, N, V, U) under a Gaussian of that width in pixels; edges repeat."""
    if width == 0:
        return image
    down, across = (_blur(length, width).to(image) for length in image.shape[2:])
    return down.T @ (image @ across)


def _blur(length: int, width: float) -> torch.Tensor:
    """The matrix (length, length) that blurs a row it is multiplied to: a product is faster than a convolution here."""
    reach = round(3 * width)
    points = F.pad(torch.eye(length)[:, None], (reach, reach), mode="replicate")
    return F.conv1d(points, bell(reach, width)[None, None])[:, 0]


def turned(points: torch.Tensor, roll_rad: torch.Tensor) -> torch.Tensor:
    """Points (…, 2) turned about the centre from +u towards +v."""
    c, s = roll_rad.cos(), roll_rad.sin()
    return torch.stack([c * points[..., 0] - s * points[..., 1], s * points[..., 0] + c * points[..., 1]], -1)
