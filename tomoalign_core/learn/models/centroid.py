"""Our network: the centroid of a positive feature map moves exactly with the projection.

Over the angles the centroid of anything rigid follows ``c + a cos + b sin`` in u and a constant in v; what is left
over *is* the shift. The angle axis is never pooled and no layer knows a size, so any number of views, any detector
and any angles work with one set of weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tomoalign_core.config import CentroidConfig
from tomoalign_core.geometry import gauge_projector
from tomoalign_core.learn.models.estimate import Estimate

STRIDE = 2  # of the encoder, px


class Centroid(nn.Module):
    """Encoder without biases → centroids of K maps and match of P profiles → gauge out → weighted by a small head.

    With a bias, or a normalisation that takes a mean out, empty space would not stay exactly zero, and would pull
    every centroid to the middle of the frame.
    """

    def __init__(self, config: CentroidConfig) -> None:
        super().__init__()
        c, k, p = config.channels, config.maps, config.profiles
        self.config = config
        self.first = nn.Conv3d(1, c, (1, 5, 5), bias=False)
        self.second = nn.Conv3d(c, c, 3, padding=1, bias=False)
        self.third = nn.Conv3d(c, c, 3, padding=1, bias=False)
        self.to_maps = nn.Conv3d(c, k, 1, bias=False)
        self.threshold = nn.Parameter(torch.full((k,), 1.0))
        self.to_profiles = nn.Conv2d(c, p, 1, bias=False)
        self.sharpness = nn.Parameter(torch.zeros(p))
        features = c + k + 2 * k + p + 2
        self.head = nn.Sequential(
            nn.Conv1d(features, config.head, 1),
            nn.GELU(),
            nn.Conv1d(config.head, config.head, 5, padding=2, padding_mode="replicate"),
            nn.GELU(),
        )
        self.to_weights = nn.Conv1d(config.head, 2 * k + p, 1)
        self.to_rest = nn.Conv1d(config.head, 4, 1)
        nn.init.zeros_(self.to_weights.weight)
        nn.init.zeros_(self.to_rest.weight)
        with torch.no_grad():  # log b starts near 0.4 px
            self.to_rest.bias.copy_(torch.tensor([0.0, 0.0, -1.0, -1.0]))

    def forward(self, proj: torch.Tensor, angle_rad: torch.Tensor) -> list[Estimate]:
        """Stacks (B, N, V, U) and angles (B, N) to one estimate a pass; each builds on the one before."""
        estimates: list[Estimate] = []
        total = proj.new_zeros((*proj.shape[:2], 2))
        looked_at = proj
        for i in range(self.config.passes):
            if i:
                looked_at = undo(proj, total)
            now = self.look(looked_at, angle_rad)
            estimates.append(Estimate(total + now.shift, now.log_b))
            total = estimates[-1].shift.detach()
        return estimates

    def look(self, proj: torch.Tensor, angle_rad: torch.Tensor) -> Estimate:
        """One pass: stacks (B, N, V, U) to shifts and confidence."""
        x = self.encode(proj)
        tracks, mass = self.tracks(x)
        across = without_gauge(tracks[..., 0], angle_rad, axis="dx")  # B, N, K
        down = without_gauge(tracks[..., 1], angle_rad, axis="dy")
        rows = self.match_profiles(x)  # B, N, P
        estimates_v = torch.cat([down, rows], -1)

        mid_u, mid_v = across.median(-1, keepdim=True).values, estimates_v.median(-1, keepdim=True).values
        spread = torch.cat([across - mid_u, estimates_v - mid_v], -1)
        pooled = x.mean(dim=(3, 4)).transpose(1, 2)  # B, N, C
        clock = torch.stack([angle_rad.cos(), angle_rad.sin()], -1)
        seen = torch.cat([pooled, torch.log(mass + 1e-6), torch.asinh(spread), clock], -1)
        hidden = self.head(seen.transpose(1, 2))

        k = self.config.maps
        weights = self.to_weights(hidden).transpose(1, 2)
        rest = self.to_rest(hidden).transpose(1, 2)
        dx = (weights[..., :k].softmax(-1) * across).sum(-1)
        dy = (weights[..., k:].softmax(-1) * estimates_v).sum(-1)
        return Estimate(torch.stack([dx, dy], -1) + rest[..., :2], rest[..., 2:].clamp(-6, 4))

    def encode(self, proj: torch.Tensor) -> torch.Tensor:
        """Features (B, C, N, V', U') at half the resolution; exactly zero where the view is constant.

        The first filters sum to zero and see replicated edges, so that a background of any height adds nothing.
        """
        kernel = self.first.weight - self.first.weight.mean(dim=(3, 4), keepdim=True)
        contrast = proj - proj.mean(dim=(2, 3), keepdim=True)
        x = contrast / contrast.square().mean(dim=(1, 2, 3), keepdim=True).add(1e-20).sqrt()
        x = F.pad(x[:, None], (2, 2, 2, 2, 0, 0), mode="replicate").to(memory_format=torch.channels_last_3d)
        x = F.silu(F.conv3d(x, kernel, stride=(1, STRIDE, STRIDE)))
        x = F.silu(self.second(x)) + x
        return F.silu(self.third(x)) + x

    def tracks(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Centroids (B, N, K, 2) in px from the frame's centre, and masses (B, N, K), of the positive maps."""
        level = self.threshold.view(1, -1, 1, 1, 1)
        # softplus less its value at zero: what is empty weighs exactly nothing
        maps = F.relu(F.softplus(4 * (self.to_maps(x) - level)) - F.softplus(-4 * level)) / 4
        along_u, along_v = maps.sum(dim=3), maps.sum(dim=4)  # B, K, N, U' and V'
        mass = along_u.sum(-1)
        u = (torch.arange(x.shape[4], device=x.device) - (x.shape[4] - 1) / 2) * STRIDE
        v = (torch.arange(x.shape[3], device=x.device) - (x.shape[3] - 1) / 2) * STRIDE
        center = torch.stack([(along_u * u).sum(-1), (along_v * v).sum(-1)], -1) / (mass + 1e-6)[..., None]
        return center.transpose(1, 2), mass.transpose(1, 2) / (x.shape[3] * x.shape[4])

    def match_profiles(self, x: torch.Tensor) -> torch.Tensor:
        """Vertical shifts (B, N, P) in px: each view's profile along v against the mean profile of all views.

        Centroids in v mean nothing when the object leaves the view at top or bottom; a match of profiles does.
        A search over whole steps (soft-argmax) is followed by two Gauss-Newton steps.
        """
        profile = self.to_profiles(x.mean(dim=4)).transpose(1, 2)  # B, N, P, V'
        profile = profile / profile.square().mean(dim=(1, 3), keepdim=True).add(1e-12).sqrt()
        template = profile.mean(dim=1, keepdim=True)
        reach = min(self.config.search_rows, profile.shape[-1] // 3)
        length = profile.shape[-1] - 2 * reach
        core = template[..., reach : reach + length]
        windows = profile.unfold(-1, length, 1)  # B, N, P, 2 reach + 1, length
        misfit = (windows - core[..., None, :]).square().mean(-1)
        lags = torch.arange(-reach, reach + 1, device=x.device)
        chance = (-misfit * (4 + self.sharpness).exp()[:, None].clamp(max=1e4)).softmax(-1)
        shift = (chance * lags).sum(-1)
        for _ in range(2):
            moved = _sample(profile, shift, reach, length)
            slope = (_sample(profile, shift + 0.5, reach, length) - _sample(profile, shift - 0.5, reach, length))
            step = (slope * (core - moved)).sum(-1) / (slope.square().sum(-1) + 1e-3 * length)
            shift = shift + step.clamp(-1, 1)
        shift = shift * STRIDE
        return shift - shift.mean(dim=1, keepdim=True)


def _sample(profile: torch.Tensor, shift: torch.Tensor, start: int, length: int) -> torch.Tensor:
    """Profiles (…, V) read at ``start + shift + 0 … length - 1``, linearly between rows, the ends repeated."""
    at = shift[..., None] + torch.arange(start, start + length, device=profile.device)
    at = at.clamp(0, profile.shape[-1] - 1.001)
    low = at.floor().long()
    return torch.lerp(profile.gather(-1, low), profile.gather(-1, low + 1), at - low)


def without_gauge(tracks: torch.Tensor, angle_rad: torch.Tensor, *, axis: str, rounds: int = 3) -> torch.Tensor:
    """Take a reweighted least-squares fit of the gauge functions out of tracks (B, N, K).

    Views far off the fit count less in the next round (weights 1 / (1 + |r| / s), s the median of |r|): a plain fit
    is pulled by its worst views. The weights carry no gradient.
    """
    q = gauge_projector(angle_rad, axis=axis)  # B, N, g
    rest = tracks - q @ (q.mT @ tracks)
    ridge = 1e-6 * torch.eye(q.shape[-1], device=q.device)
    for _ in range(rounds - 1):
        with torch.no_grad():
            size = rest.abs()
            weight = 1 / (1 + size / (size.median(dim=1, keepdim=True).values + 1e-3))
        wq = weight.transpose(1, 2)[..., None] * q[:, None]  # B, K, N, g
        normal = wq.mT @ q[:, None] + ridge
        fit = torch.linalg.solve(normal, wq.mT @ tracks.transpose(1, 2)[..., None])
        rest = tracks - (q[:, None] @ fit)[..., 0].transpose(1, 2)
    return rest


def undo(proj: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Move the content of stacks (B, N, V, U) back by shifts (B, N, 2) px; bicubic, edges repeated."""
    b, n, rows, cols = proj.shape
    with torch.no_grad():
        u = torch.arange(cols, device=proj.device) - (cols - 1) / 2
        v = torch.arange(rows, device=proj.device) - (rows - 1) / 2
        scale = torch.tensor([2 / (cols - 1), 2 / (rows - 1)], device=proj.device)
        at = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1) + shift.reshape(-1, 1, 1, 2)
        flat = proj.reshape(b * n, 1, rows, cols)
        moved = F.grid_sample(flat, at * scale, mode="bicubic", padding_mode="border", align_corners=True)
    return moved.reshape(proj.shape)
