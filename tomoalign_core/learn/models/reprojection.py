"""Each view against what all the others say it should be: filtered backprojection and reprojection, in closed form."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from tomoalign_core.learn.models.matching import LEVER_PX, blurred, rows_from
from tomoalign_core.simulate.project import ramp_filter

BLURS = (0.0, 1.5)  # of image and reprojection before they are compared, in pixels
STEP_LIMIT_PX = 4.0  # beyond, one Gauss-Newton step has lost its way


@torch.no_grad()
def match_reprojection(
    clean: torch.Tensor,
    image: torch.Tensor,
    angle_rad: torch.Tensor,
    px: float,
    inside: torch.Tensor,
    middle: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far each view stands off its reprojection from all other views, by one Gauss-Newton step a scale.

    dx, dy, roll, gain and offset are found together, over the pixels the view really has. Blurred, a slow drift of the
    views is seen as large as it is; sharp, a single view is placed best. There is nothing to learn here, so no
    gradient passes.

    Parameters
    ----------
    clean, image : (B, N, V, U), registered views of attenuation without and with their noise: what is reprojected,
        and what is matched with it.
    px : size of a pixel in detector px.
    inside : bool (B, N, V, U), the pixels that were measured.
    middle : (B,), the row about which views turn, px from the centre.

    Returns
    -------
    off : (B, N, S, 3), (dx, dy, roll x LEVER_PX) in px, for each of BLURS.
    gain : (B, N, S), the view's scale against its reprojection; near 1 where the reprojection can be believed.
    """
    template = torch.stack([reproject(stack, angle) for stack, angle in zip(clean, angle_rad, strict=True)])
    found = [
        _stand_off(
            blurred(image, width), blurred(template, width), px, _far_from_border(inside, round(2 * width)), middle
        )
        for width in BLURS
    ]
    off, gain = (torch.stack(values, 2) for values in zip(*found, strict=True))
    return off, gain


def _stand_off(
    image: torch.Tensor, template: torch.Tensor, px: float, inside: torch.Tensor, middle: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    gu = F.pad((template[..., 2:] - template[..., :-2]) / 2, (1, 1))
    gv = F.pad((template[..., 2:, :] - template[..., :-2, :]) / 2, (0, 0, 1, 1))
    rows, cols = image.shape[2:]
    u = (torch.arange(cols, device=image.device) - (cols - 1) / 2) * px
    v = rows_from(middle, rows, px)[:, None]
    # a view moved by (dx, dy) and turned by roll is t - dx t_u - dy t_v - roll (u t_v - v t_u), to first order
    parts = [-gu, -gv, (v * gu - u * gv) / LEVER_PX, template, torch.ones_like(template)]
    basis = (torch.stack(parts, 2) * inside[:, :, None]).flatten(3)  # B, N, 5, pixels
    normal = basis @ basis.mT
    normal = normal + torch.diag_embed(1e-3 * normal.diagonal(dim1=-2, dim2=-1) + 1e-6)
    found = torch.linalg.solve(normal, basis @ (image * inside).flatten(2)[..., None])[..., 0]
    gain = found[..., 3]
    off = found[..., :3] / gain.clamp(min=0.3)[..., None] * px
    return off.clamp(-STEP_LIMIT_PX, STEP_LIMIT_PX), gain.clamp(-1, 3)


def _far_from_border(inside: torch.Tensor, reach: int) -> torch.Tensor:
    """The pixels with none within ``reach`` that was not measured or lies beyond the frame: a blur mixes them."""
    if reach == 0:
        return inside
    outside = F.pad((~inside).float(), (reach,) * 4, value=1.0)
    return F.max_pool2d(outside, 2 * reach + 1, stride=1) == 0


def reproject(stack: torch.Tensor, angle_rad: torch.Tensor) -> torch.Tensor:
    """Reproject the filtered backprojection of a stack (N, V, U), each view from all views but itself.

    Backprojecting a filtered view q of angle α and projecting at β sums q over a stretch of its own axis: along the ray
    at column u, within the circle of reconstruction, q is read at ``u cos + t sin`` (of α - β). So the reprojection is
    ``[Q(u cos + h |sin|) - Q(u cos - h |sin|)] / |sin|`` with Q the running integral of q and h half the chord: no
    volume is made, and leaving a view out costs nothing. Four numbers a source view, the same for all rows, are what a
    column is a weighted sum of: so Q is laid out by columns, all rows of one side by side.
    """
    n, rows, cols = stack.shape
    u = torch.arange(cols, device=stack.device, dtype=stack.dtype) - (cols - 1) / 2
    half = ((cols / 2) ** 2 - u * u).clamp(min=0.25).sqrt()
    filtered = ramp_filter(stack.reshape(-1, cols)).view(stack.shape) * _spacing(angle_rad)[:, None, None]
    # at the edges of the pixels, (N (U + 1), V)
    integral = F.pad(filtered.cumsum(-1), (1, 0)).transpose(1, 2).reshape(-1, rows)
    source = torch.arange(n, device=stack.device)
    result = torch.empty_like(stack)
    for i in range(1 if stack.is_meta else n):  # on meta tensors only sizes count, the same for all views
        between = angle_rad - angle_rad[i]
        reach = between.sin().abs().clamp(min=1e-3)[:, None]
        middle = u * between.cos()[:, None] + cols / 2
        at = torch.stack([middle + half * reach, middle - half * reach]).clamp(0, cols - 1e-3)  # 2, N, U
        low = at.floor()
        column = low.long() + (source * (cols + 1))[:, None]
        share = at - low
        weight = (source != i)[:, None] / reach
        weight = torch.stack([weight, -weight])
        terms = torch.stack([column, column + 1]).flatten(0, 2).T  # U, 4 N
        weights = torch.stack([(1 - share) * weight, share * weight]).flatten(0, 2).T
        said = F.embedding_bag(terms, integral, per_sample_weights=weights.contiguous(), mode="sum")
        result[i] = said.T
    return result


def _spacing(angle_rad: torch.Tensor) -> torch.Tensor:
    """The angle each view stands for, radians: half the gaps beside it modulo 180°, each at most 3 mean gaps."""
    turn = torch.remainder(angle_rad, math.pi)
    order = turn.argsort()
    ordered = turn[order]
    gaps = torch.diff(torch.cat([ordered, ordered[:1] + math.pi])).clamp(max=3 * math.pi / len(turn))
    spacing = torch.empty_like(turn)
    spacing[order] = (gaps + gaps.roll(1)) / 2
    return spacing
