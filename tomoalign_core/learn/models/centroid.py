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
    about,
    bell,
    fuse,
    match_neighbours,
    match_profiles,
    search_profiles,
    turned,
    undo,
    without_gauge,
)
from tomoalign_core.learn.models.precision import full_precision
from tomoalign_core.learn.models.reprojection import BLURS, match_reprojection
from tomoalign_core.learn.models.scene import (
    SUPPORTS,
    common_of,
    cut_of,
    level_of,
    middle_row_of,
    noise_of,
    supports_of,
)

STRIDE = 2  # of the encoder, px
LOCAL_BLURS = (0.5, 1.0, 2.0)  # where the filters that match neighbours start, feature px
CUT = 0.2  # an object that has this share of its middle's mass at the border is cut
LEAST_ROLL_DEG = 0.4  # root mean square over a stack; a stage that does not roll at all seems to roll by up to this
ROLL_SPREAD_PX = 0.35  # 1 degree of roll at LEVER_PX: what is expected before looking


class Features(NamedTuple):
    """What the encoder sees.

    x : features (B, C, N, V', U') at half the resolution.
    image, clean : (B, N, V', U'), the levelled image at half the resolution, as it is and without its noise.
    profile : (B, N, V), its mean along each row.
    noise : (B, S), the noise of the image under the blur of each support.
    middle : (B,), the row about which views turn, px from the centre; see ``middle_row_of``.
    cut : (B, 4), how much of the object lies at the top, bottom, left and right border, against an even spread.
    """

    x: torch.Tensor
    image: torch.Tensor
    clean: torch.Tensor
    profile: torch.Tensor
    noise: torch.Tensor
    middle: torch.Tensor
    cut: torch.Tensor


class Matches(NamedTuple):
    """What registered views say of each other, (dx, dy, roll x LEVER_PX) in px; zeros before they are registered.

    bend, sure : (B, N, L, 3), against the neighbours. off : (B, N, S, 3), gain : (B, N, S), against all other views.
    """

    bend: torch.Tensor
    sure: torch.Tensor
    off: torch.Tensor
    gain: torch.Tensor


class Centroid(nn.Module):
    """Encoder without biases → centroids, rows, neighbours, reprojections → weighed together by a small head.

    With a bias, or a normalisation that takes a mean out, empty space would not stay exactly zero, and would pull
    every centroid to the middle of the frame.
    """

    def __init__(self, config: CentroidConfig) -> None:
        super().__init__()
        c, k, p = config.channels, config.maps + len(SUPPORTS), config.profiles
        scales, lags = len(BLURS), len(LAGS)
        self.config = config
        self.first = nn.Conv3d(1, c, (1, 5, 5), stride=(1, STRIDE, STRIDE), bias=False)
        self.second = nn.Conv3d(c, c, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.third = nn.Conv3d(c, c, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.to_clean = nn.Conv3d(c, 1, 1, bias=False)
        self.to_maps = nn.Conv3d(c, config.maps, 1, bias=False)
        self.threshold = nn.Parameter(torch.full((config.maps,), 0.5))
        self.to_local = nn.Conv2d(1, len(LOCAL_BLURS), 7, padding=3, bias=False)
        self.to_profiles = nn.Conv1d(1, p, 9, bias=False)
        features = c + k + 2 * k + p + 2 + 6 * lags + 4 * scales + 4 + 1
        self.head = nn.Sequential(
            nn.Conv1d(features, config.head, 1),
            nn.GELU(),
            nn.Conv1d(config.head, config.head, 5, padding=2, padding_mode="replicate"),
            nn.GELU(),
        )
        self.to_weights = nn.Conv1d(config.head, 2 * k + p, 1)
        self.to_rest = nn.Conv1d(config.head, 4, 1)
        self.to_trust = nn.Conv1d(config.head, 3 * (1 + scales + lags), 1)  # absolute, reprojections, lags; by axis
        self.to_gain = nn.Conv1d(config.head, 3 * (scales + lags), 1)  # reprojections, lags; by axis
        self._start()

    def forward(
        self,
        proj: torch.Tensor,
        angle_rad: torch.Tensor,
        start: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> list[Estimate]:
        """Stacks (B, N, V, U) and angles (B, N) to one estimate a pass; each builds on the one before.

        ``start``, shifts (B, N, 2) in px and rolls (B, N) found before, is what the first pass builds on.

        In training the last pass is the second or a later one, by chance, and those in between carry no gradient: all
        registered passes have the same weights, which must serve stacks well and badly registered.
        """
        passes = self.config.passes
        if self.training and passes > 2:
            passes = 2 + int(torch.randint(passes - 1, ()))
        background, scale = level_of(proj)
        level = (proj - background) / scale
        seen, inside = self.encode(level), None
        # from here to the end, shifts are those of views that turn about the middle of what they show
        middle = seen.middle
        shift, roll = start or (proj.new_zeros((*proj.shape[:2], 2)), proj.new_zeros(proj.shape[:2]))
        shift = about(shift, roll, middle)
        estimates: list[Estimate] = []
        for number in range(passes):
            learned = number in (0, passes - 1) or not self.training
            with torch.set_grad_enabled(learned and torch.is_grad_enabled()):
                if number or start is not None:
                    moved, inside = undo(level, about(shift, roll, -middle), roll, blank=True)
                    seen = self.encode(moved, seen)
                with full_precision(proj):
                    now = self.look(seen, angle_rad, inside, roll)
            assert now.roll_rad is not None
            turn = roll + now.roll_rad if self.training else _told(roll + now.roll_rad)
            # the residual movement was seen in the frame of the corrected view: turn it back
            clean = None if number else seen.clean * scale + background
            shift = shift + turned(now.shift, roll)
            if learned:
                estimates.append(Estimate(about(shift, turn, -middle), now.log_b, turn, clean))
            shift, roll = shift.detach(), turn.detach()
        return estimates

    def look(
        self, seen: Features, angle_rad: torch.Tensor, inside: torch.Tensor | None, roll_so_far: torch.Tensor
    ) -> Estimate:
        """One pass: features to shift, confidence and roll, all of them what is left over after the passes before.

        ``inside`` (B, N, V, U) says which pixels of registered views were measured; None before they are registered,
        when views cannot be matched with each other, and roll is 0.
        """
        tracks, mass = self.tracks(seen, inside)
        rows = self.match_rows(seen.profile, inside)
        matches = self.match_views(seen, angle_rad, inside)
        across, down = _gauge_free(tracks, angle_rad)
        hidden = self._weigh(seen, mass, across, torch.cat([down, rows], -1), matches, angle_rad, inside is not None)
        trust = self.to_trust(hidden).transpose(1, 2).unflatten(-1, (-1, 3)).clamp(-7, 7).exp()  # B, N, 1 + S + L, 3
        gain = (0.2 * self.to_gain(hidden).transpose(1, 2).unflatten(-1, (-1, 3)).clamp(-7, 7)).exp()
        off, bend = matches.off * gain[:, :, : len(BLURS)], matches.bend * gain[:, :, len(BLURS) :]

        roll = torch.zeros_like(angle_rad)
        if inside is not None:
            # before looking, all of the roll is expected to be small, not what is left of it
            expected = -LEVER_PX * roll_so_far[..., None]
            level = fuse(expected, off[..., 2:], bend[..., 2:], trust[..., 2:])
            roll = level[..., 0] / LEVER_PX
            # undo what the roll did to the centroids and rows, about the middle
            rows = rows - (roll * tracks[..., -1, 0])[..., None]
            middle = torch.stack([torch.zeros_like(seen.middle), seen.middle], -1)[:, None, None]
            across, down = _gauge_free(turned(tracks - middle, -roll[..., None]), angle_rad)

        k = tracks.shape[2]
        weights = self.to_weights(hidden).transpose(1, 2)
        rest = self.to_rest(hidden).transpose(1, 2)
        # where the object leaves the view at top or bottom, centroids in v mean nothing
        cut = 10 * (seen.cut[:, :2].amax(1) - CUT).clamp(0, 1)
        weights = torch.cat([weights[..., :k], weights[..., k : 2 * k] - cut[:, None, None], weights[..., 2 * k :]], -1)
        dx = (weights[..., :k].softmax(-1) * across).sum(-1)
        dy = (weights[..., k:].softmax(-1) * torch.cat([down, rows], -1)).sum(-1)
        shift = torch.stack([dx, dy], -1) + rest[..., :2]
        if inside is not None:
            shift = fuse(shift, off[..., :2], bend[..., :2], trust[..., :2])
        return Estimate(shift, rest[..., 2:].clamp(-7, 4), roll)

    def encode(self, proj: torch.Tensor, before: Features | None = None) -> Features:
        """Features at half the resolution; exactly zero where a view shows nothing but its background.

        A corrected stack has blank borders: its noise, and where the object is cut, is what was seen ``before``.
        """
        with full_precision(proj):
            background, scale = level_of(proj)
            x = (proj - background) / scale
            image = F.avg_pool2d(x, STRIDE, ceil_mode=True)
            profile = x.mean(3)
            noise = noise_of(image) if before is None else before.noise
            middle = middle_row_of(image, STRIDE) if before is None else before.middle
            cut = cut_of(image, noise) if before is None else before.cut
        x = self.filters(x)
        with full_precision(proj):
            x = x.to(proj.dtype)
            return Features(x, image, image + self.to_clean(x)[:, 0], profile, noise, middle, cut)

    def filters(self, level: torch.Tensor) -> torch.Tensor:
        """The convolutions of the encoder: levelled stacks (B, N, V, U) to features (B, C, N, V', U')."""
        x = F.pad(level[:, None], (2, 2, 2, 2, 0, 0), mode="replicate").to(memory_format=torch.channels_last_3d)
        # the one place where mixed precision acts, and nearly all of the memory and of the work
        x = F.silu(self.first(x))
        x = F.silu(self.second(x)) + x
        return F.silu(self.third(x)) + x

    def tracks(self, seen: Features, inside: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Centroids (B, N, K, 2) in px from the frame's centre, and masses (B, N, K), of all maps.

        Three kinds of maps: features above a threshold; the image itself behind a gate that features open; the image
        where it, blurred, stands out of the noise. Of registered views only the rows that all show are taken.
        """
        level = self.threshold.abs().view(1, -1, 1, 1, 1)
        above = F.relu(self.to_maps(seen.x) - level)
        half = above.shape[1] // 2
        gated = torch.tanh(above[:, half:]) * F.relu(seen.image)[:, None]
        maps = torch.cat([above[:, :half], gated, supports_of(seen.image, seen.noise)], 1)
        if inside is not None:
            maps = maps * common_of(inside, 2, STRIDE, 4)[:, None, None, :, None]
        along_u, along_v = maps.sum(dim=3), maps.sum(dim=4)  # B, K, N, U' and V'
        mass = along_u.sum(-1)
        u = (torch.arange(maps.shape[4], device=maps.device) - (maps.shape[4] - 1) / 2) * STRIDE
        v = (torch.arange(maps.shape[3], device=maps.device) - (maps.shape[3] - 1) / 2) * STRIDE
        # features are positive, so that their centroid is in the frame however faint they are; the image is not
        least = torch.ones_like(mass[:1, :, :1])
        least[:, : above.shape[1]] = 1e-9
        center = torch.stack([(along_u * u).sum(-1), (along_v * v).sum(-1)], -1) / mass.clamp(min=least)[..., None]
        return center.transpose(1, 2), mass.transpose(1, 2) / (maps.shape[3] * maps.shape[4])

    def match_rows(self, profile: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
        """Vertical shifts (B, N, P) in px by P filtered row profiles; ``profile`` is (B, N, V)."""
        b, n, rows = profile.shape
        padded = F.pad(profile.reshape(b * n, 1, rows), (4, 4), mode="replicate")
        filtered = self.to_profiles(padded).view(b, n, -1, rows)
        # no mean is taken out: a ramp less its mean does not move with the view
        filtered = filtered / filtered.square().mean(dim=(1, 3), keepdim=True).add(1e-12).sqrt()
        if inside is not None:
            return match_profiles(filtered, torch.zeros_like(filtered[..., 0]), common_of(inside, 2, 1, 5))
        reach = min(STRIDE * self.config.search_rows, rows // 4)
        weight = torch.zeros_like(profile[:, 0])  # nothing is known yet of what all views show
        weight[:, reach : rows - reach] = 1
        return match_profiles(filtered, search_profiles(filtered, reach), weight)

    def match_views(self, seen: Features, angle_rad: torch.Tensor, inside: torch.Tensor | None) -> Matches:
        """Each registered view against its neighbours, and against its reprojection from all others."""
        b, n = angle_rad.shape
        if inside is None:
            zero = angle_rad.new_zeros(b, n, len(LAGS), 3)
            off = angle_rad.new_zeros(b, n, len(BLURS), 3)
            return Matches(zero, zero, off, off[..., 0])
        clean = seen.clean.detach()  # it learns from the noise-free views alone
        local = [
            self.to_local(views.flatten(0, 1)[:, None]).unflatten(0, (b, n)).transpose(1, 2)
            for views in (clean, seen.image)
        ]
        rows, cols = common_of(inside, 2, STRIDE, 4 * STRIDE), common_of(inside, 3, STRIDE, 4 * STRIDE)
        common = rows[:, :, None] * cols[:, None]
        bend, sure = match_neighbours(local[0], local[1], angle_rad, STRIDE, common, seen.middle)
        whole = F.avg_pool2d(inside.to(seen.image), STRIDE, ceil_mode=True) == 1
        return Matches(bend, sure, *match_reprojection(clean, seen.image, angle_rad, STRIDE, whole, seen.middle))

    def _weigh(
        self,
        seen: Features,
        mass: torch.Tensor,
        across: torch.Tensor,
        down: torch.Tensor,
        matches: Matches,
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
            torch.asinh(matches.bend).flatten(2),
            matches.sure.flatten(2),
            torch.asinh(matches.off).flatten(2),
            matches.gain,
            seen.cut[:, None].expand(-1, angle_rad.shape[1], -1),
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
        nn.init.zeros_(self.to_clean.weight)
        nn.init.normal_(self.to_profiles.weight, std=0.02)
        for number, kernel in enumerate(self.to_profiles.weight):  # in turn a blur and the slope of a blur
            smooth = bell(4, 0.7 + 0.3 * (number // 2))
            kernel[0] += smooth if number % 2 == 0 else torch.gradient(smooth)[0]
        for kernel, blur in zip(self.to_local.weight, LOCAL_BLURS, strict=True):
            kernel.copy_((bell(3, blur)[:, None] * bell(3, blur) * blur)[None])
        weights = torch.full((self.to_weights.out_channels,), -4.0)
        weights[k : k + len(SUPPORTS)] = 1.0
        weights[2 * k + len(SUPPORTS) :] = 1.0
        trust = torch.zeros(1 + len(BLURS) + len(LAGS), 3)
        trust[0, 2] = -2 * math.log(ROLL_SPREAD_PX / 0.2)
        trust[1] = 1.4  # matches are about half as far off as centroids
        gain = torch.full((self.to_gain.out_channels,), -0.5)
        rest = torch.tensor([0.0, 0.0, -2.5, -2.5])  # log b: about 0.1 px
        starts = (
            (self.to_weights, weights),
            (self.to_trust, trust.flatten()),
            (self.to_gain, gain),
            (self.to_rest, rest),
        )
        for head, bias in starts:
            nn.init.zeros_(head.weight)
            head.bias = nn.Parameter(bias)


def _told(roll_rad: torch.Tensor) -> torch.Tensor:
    """Rolls (B, N) of the stacks that roll by more than noise alone makes it seem; zero for the others."""
    seen = roll_rad.square().mean(dim=1, keepdim=True).sqrt() > math.radians(LEAST_ROLL_DEG)
    return roll_rad * seen


def _gauge_free(tracks: torch.Tensor, angle_rad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tracks (B, N, K, 2) less the object's own turning; in u the axis' distance from the middle stays in.

    So a corrected stack turns about the middle column, as its reprojection must.
    """
    across, axis = without_gauge(tracks[..., 0], angle_rad, axis="dx")
    return across + axis, without_gauge(tracks[..., 1], angle_rad, axis="dy")[0]
