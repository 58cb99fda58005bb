"""Our network: the centroid of a feature map moves exactly with the projection.

Over the angles the centroid of anything rigid follows ``c + a cos + b sin`` in u and a constant in v; what is left
over *is* the shift. The angle axis is never pooled and no layer knows a size, so any number of views, any detector
and any angles work with one set of weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tomoalign_core.config import CentroidConfig
from tomoalign_core.learn.models.estimate import Estimate
from tomoalign_core.learn.models.matching import (
    LAGS,
    LEVER_PX,
    fuse,
    match_neighbours,
    match_profiles,
    turned,
    undo,
    without_gauge,
)

STRIDE = 2  # of the encoder, px
EDGE = 4  # outer columns whose median is the background, px
SUPPORTS = ((1.0, 2.0), (2.0, 1.5), (2.0, 2.5), (3.0, 1.5))  # blur in feature px, threshold in noise levels
LOCAL_BLURS = (0.5, 1.0, 2.0)  # where the filters that match neighbours start, feature px
ROLL_SPREAD_PX = 0.35  # 1 degree of roll at LEVER_PX: what is expected before looking


class Features(NamedTuple):
    """What the encoder sees: features (B, C, N, V', U'), levelled image (B, N, V', U'), row profiles (B, N, V)."""

    x: torch.Tensor
    image: torch.Tensor
    profile: torch.Tensor


class Centroid(nn.Module):
    """Encoder without biases → centroids, neighbours, profiles → gauge out → weighed together by a small head.

    With a bias, or a normalisation that takes a mean out, empty space would not stay exactly zero, and would pull
    every centroid to the middle of the frame.
    """

    def __init__(self, config: CentroidConfig) -> None:
        super().__init__()
        c, k, p = config.channels, config.maps + len(SUPPORTS), config.profiles
        self.config = config
        self.first = nn.Conv3d(1, c, (1, 5, 5), bias=False)
        self.second = nn.Conv3d(c, c, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.third = nn.Conv3d(c, c, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.to_maps = nn.Conv3d(c, config.maps, 1, bias=False)
        self.threshold = nn.Parameter(torch.full((config.maps,), 0.5))
        self.to_local = nn.Conv2d(1, len(LOCAL_BLURS), 7, padding=3, bias=False)
        self.to_profiles = nn.Conv1d(1, p, 9, bias=False)
        features = c + k + 2 * k + p + 2 + 2 * 3 * len(LAGS) + 1
        self.head = nn.Sequential(
            nn.Conv1d(features, config.head, 1),
            nn.GELU(),
            nn.Conv1d(config.head, config.head, 5, padding=2, padding_mode="replicate"),
            nn.GELU(),
        )
        self.to_weights = nn.Conv1d(config.head, 2 * k + p, 1)
        self.to_rest = nn.Conv1d(config.head, 4, 1)
        self.to_trust = nn.Conv1d(config.head, 3 + 2 * 3 * len(LAGS), 1)
        self._start()

    def forward(self, proj: torch.Tensor, angle_rad: torch.Tensor) -> list[Estimate]:
        """Stacks (B, N, V, U) and angles (B, N) to one estimate a pass; each builds on the one before."""
        estimates: list[Estimate] = []
        shift, roll = proj.new_zeros((*proj.shape[:2], 2)), proj.new_zeros(proj.shape[:2])
        looked_at = proj
        for number in range(self.config.passes):
            if number:
                looked_at = undo(proj, shift, roll)
            now = self.look(looked_at, angle_rad, registered=number > 0)
            assert now.roll_rad is not None
            # the residual movement was seen in the frame of the corrected view: turn it back
            estimates.append(Estimate(shift + turned(now.shift, roll), now.log_b, roll + now.roll_rad))
            shift, roll = estimates[-1].shift.detach(), (roll + now.roll_rad).detach()
        return estimates

    def look(self, proj: torch.Tensor, angle_rad: torch.Tensor, *, registered: bool) -> Estimate:
        """One pass: stacks (B, N, V, U) to shift, confidence and roll.

        Neighbouring views can be matched once they are ``registered`` to a few px; before that, roll is 0.
        """
        seen = self.encode(proj)
        tracks, mass = self.tracks(seen)
        rows = self.match_rows(seen.profile)
        if registered:
            local = self.to_local(seen.image.flatten(0, 1)[:, None]).unflatten(0, proj.shape[:2]).transpose(1, 2)
            bend, sure = match_neighbours(local, angle_rad, STRIDE)
        else:
            bend = sure = proj.new_zeros((*proj.shape[:2], len(LAGS), 3))
        across, down = self._gauge_free(tracks, angle_rad)
        hidden = self._weigh(seen, mass, across, torch.cat([down, rows], -1), bend, sure, angle_rad, registered)

        roll = proj.new_zeros(proj.shape[:2])
        trust = self.to_trust(hidden).transpose(1, 2).clamp(-6, 6)
        gain = (0.2 * trust[..., 3 + 3 * len(LAGS) :]).exp().unflatten(-1, (len(LAGS), 3))
        sureness = trust[..., : 3 + 3 * len(LAGS)].exp()
        bend_trust = sureness[..., 3:].unflatten(-1, (len(LAGS), 3))
        if registered:
            level = fuse(
                proj.new_zeros((*proj.shape[:2], 1)), sureness[..., 2:3], (bend * gain)[..., 2:], bend_trust[..., 2:]
            )[..., 0]
            roll = level / LEVER_PX
            # undo what the roll did to the centroids, in the frame of the detector's centre
            center = tracks[..., -1, :]
            tracks = turned(tracks, -roll[..., None])
            across, down = self._gauge_free(tracks, angle_rad)
            rows = rows - (roll * center[..., 0])[..., None]

        k = tracks.shape[2]
        weights = self.to_weights(hidden).transpose(1, 2)
        rest = self.to_rest(hidden).transpose(1, 2)
        dx = (weights[..., :k].softmax(-1) * across).sum(-1)
        dy = (weights[..., k:].softmax(-1) * torch.cat([down, rows], -1)).sum(-1)
        shift = torch.stack([dx, dy], -1) + rest[..., :2]
        if registered:
            shift = fuse(shift, sureness[..., :2], (bend * gain)[..., :2], bend_trust[..., :2])
        return Estimate(shift, rest[..., 2:].clamp(-7, 4), roll)

    def encode(self, proj: torch.Tensor) -> Features:
        """Features at half the resolution; exactly zero where a view shows nothing but its background.

        The background of a view, the median of its outer columns, is taken out; the stack is divided by its standard
        deviation. Neither changes when content moves through empty space.
        """
        edges = torch.cat([proj[..., :EDGE], proj[..., -EDGE:]], -1).flatten(2)
        x = proj - edges.median(-1).values[..., None, None]
        x = x / x.square().mean(dim=(1, 2, 3), keepdim=True).add(1e-20).sqrt()
        image = F.avg_pool2d(x, STRIDE, ceil_mode=True)
        profile = x.mean(3)
        x = F.pad(x[:, None], (2, 2, 2, 2, 0, 0), mode="replicate").to(memory_format=torch.channels_last_3d)
        x = F.silu(F.conv3d(x, self.first.weight, stride=(1, STRIDE, STRIDE)))
        x = F.silu(self.second(x)) + x
        return Features(F.silu(self.third(x)) + x, image, profile)

    def tracks(self, seen: Features) -> tuple[torch.Tensor, torch.Tensor]:
        """Centroids (B, N, K, 2) in px from the frame's centre, and masses (B, N, K), of all maps.

        Three kinds of maps: features above a threshold; the image itself behind a gate that features open; the image
        where it, blurred, stands out of the noise.
        """
        level = self.threshold.abs().view(1, -1, 1, 1, 1)
        above = F.relu(self.to_maps(seen.x) - level)
        half = above.shape[1] // 2
        maps = torch.cat(
            [above[:, :half], torch.tanh(above[:, half:]) * F.relu(seen.image)[:, None], _supports(seen.image)], 1
        )
        along_u, along_v = maps.sum(dim=3), maps.sum(dim=4)  # B, K, N, U' and V'
        mass = along_u.sum(-1)
        u = (torch.arange(maps.shape[4], device=maps.device) - (maps.shape[4] - 1) / 2) * STRIDE
        v = (torch.arange(maps.shape[3], device=maps.device) - (maps.shape[3] - 1) / 2) * STRIDE
        # features are positive, so that their centroid is in the frame however faint they are; the image is not
        least = torch.full_like(mass[:1, :, :1], 1.0)
        least[:, : above.shape[1]] = 1e-9
        center = torch.stack([(along_u * u).sum(-1), (along_v * v).sum(-1)], -1) / mass.clamp(min=least)[..., None]
        return center.transpose(1, 2), mass.transpose(1, 2) / (maps.shape[3] * maps.shape[4])

    def match_rows(self, profile: torch.Tensor) -> torch.Tensor:
        """Vertical shifts (B, N, P) in px by P filtered row profiles; ``profile`` is (B, N, V)."""
        b, n, rows = profile.shape
        padded = F.pad(profile.reshape(b * n, 1, rows), (4, 4), mode="replicate")
        filtered = self.to_profiles(padded).view(b, n, -1, rows)
        filtered = filtered - filtered.mean(-1, keepdim=True)
        filtered = filtered / filtered.square().mean(dim=(1, 3), keepdim=True).add(1e-12).sqrt()
        return match_profiles(filtered, STRIDE * self.config.search_rows)

    def _gauge_free(self, tracks: torch.Tensor, angle_rad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        across = without_gauge(tracks[..., 0], angle_rad, axis="dx")
        return across, without_gauge(tracks[..., 1], angle_rad, axis="dy")

    def _weigh(
        self,
        seen: Features,
        mass: torch.Tensor,
        across: torch.Tensor,
        down: torch.Tensor,
        bend: torch.Tensor,
        sure: torch.Tensor,
        angle_rad: torch.Tensor,
        registered: bool,
    ) -> torch.Tensor:
        """What the head makes of the estimates of each view and its neighbours: (B, H, N)."""
        spread = [a - a.median(-1, keepdim=True).values for a in (across, down)]
        parts = [
            seen.x.mean(dim=(3, 4)).transpose(1, 2),
            mass.clamp(min=1e-4).log(),
            torch.asinh(torch.cat(spread, -1)),
            torch.stack([angle_rad.cos(), angle_rad.sin()], -1),
            torch.asinh(bend).flatten(2),
            sure.flatten(2),
            torch.full_like(angle_rad, float(registered))[..., None],
        ]
        return self.head(torch.cat(parts, -1).transpose(1, 2))

    @torch.no_grad()
    def _start(self) -> None:
        """Start where classical methods are: supports, profiles and blurred neighbours weigh most."""
        c, k = self.config.channels, self.config.maps
        nn.init.normal_(self.first.weight, std=0.2)
        for layer, fan_in in ((self.second, 9 * c / 2), (self.third, 9 * c / 2), (self.to_maps, c)):
            nn.init.normal_(layer.weight, std=fan_in**-0.5)
        nn.init.normal_(self.to_profiles.weight, std=0.3)
        for kernel, blur in zip(self.to_local.weight, LOCAL_BLURS, strict=True):
            bell = _bell(3, blur)
            kernel.copy_((bell[:, None] * bell * blur)[None])
        weights = torch.full((self.to_weights.out_channels,), -4.0)
        weights[k : k + len(SUPPORTS)] = 1.0
        weights[2 * k + len(SUPPORTS) :] = 1.0
        trust = torch.zeros(self.to_trust.out_channels)
        trust[2] = -2 * math.log(ROLL_SPREAD_PX / 0.2)
        rest = torch.tensor([0.0, 0.0, -1.0, -1.0])
        for head, bias in ((self.to_weights, weights), (self.to_trust, trust), (self.to_rest, rest)):
            nn.init.zeros_(head.weight)
            head.bias = nn.Parameter(bias)


def _bell(reach: int, width: float) -> torch.Tensor:
    bell = (-(torch.arange(-reach, reach + 1) / width).square() / 2).exp()
    return bell / bell.sum()


def _supports(image: torch.Tensor) -> torch.Tensor:
    """The image (B, N, V', U') where it, blurred, stands out of the noise of its outer columns: (B, S, N, V', U')."""
    flat = image.flatten(0, 1)[:, None]
    kept = []
    for blur, sigmas in SUPPORTS:
        bell = _bell(6, blur).to(image)
        smooth = F.conv2d(F.pad(flat, (6, 6, 6, 6), mode="replicate"), bell.view(1, 1, 1, -1))
        smooth = F.conv2d(smooth, bell.view(1, 1, -1, 1)).view_as(image)
        edge = torch.cat([smooth[..., :3], smooth[..., -3:]], -1)
        noise = edge.square().mean(dim=(2, 3), keepdim=True).sqrt().median(dim=1, keepdim=True).values + 0.01
        kept.append(((smooth / noise - sigmas) / 2).clamp(0, 1) * image)
    return torch.stack(kept, 1)
