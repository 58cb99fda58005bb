"""The noise of a stack, and how it rises with what the object absorbs."""

from __future__ import annotations

import numpy as np
import pytest

from tomoalign_core.align import together
from tomoalign_core.align.joint import Joint
from tomoalign_core.align.noise import UnevenNoise, noise_of, uneven_noise
from tomoalign_core.align.predict import predict_shifts
from tomoalign_core.config import MisalignConfig, NoiseConfig, PhantomConfig, ScanConfig, SimulationConfig
from tomoalign_core.learn.weights import load_weights
from tomoalign_core.metrics import score_shifts
from tomoalign_core.simulate import LabelledScan, simulate


def scan(noise: NoiseConfig, **more: object) -> LabelledScan:
    stage = MisalignConfig(dx_sigma_px=1, dy_sigma_px=1)
    settings = SimulationConfig(scan=ScanConfig(n_views=40, n_rows=48, n_cols=64), misalign=stage, noise=noise, seed=3)
    return simulate(settings.changed(**more))


def dense(seed: int, *, absorbs: float = 3.0, counts: float = 1000) -> tuple[LabelledScan, np.ndarray]:
    """A scan of an object that lets through exp(-3) where it is densest, by counts: attenuation over its maximum."""
    clean = scan(NoiseConfig(), seed=seed)
    counted = np.random.default_rng(seed).poisson(counts * np.exp(-absorbs * clean.clean.numpy())).clip(0.5)
    return clean, (-np.log(counted / counts) / absorbs).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.02, 0.3])
def test_noise_is_measured_whatever_the_object(sigma: float) -> None:
    noisy = scan(NoiseConfig(gaussian=sigma))
    assert noise_of(noisy.proj.numpy()) == pytest.approx(sigma, rel=0.05)


def test_noise_of_counts_rises_with_the_attenuation_as_it_should() -> None:
    """By the closed form exp(p / 2) / sqrt(counts), in units of the maximum."""
    clean, stack = dense(1)
    found = uneven_noise(stack, clean.clean.numpy())
    assert found is not None
    expected = np.exp(3 * found.brightness / 2) / np.sqrt(1000) / 3
    np.testing.assert_allclose(found.sigma, expected, rtol=0.15)
    share = found.share(clean.clean.numpy())
    assert share.max() == 1 and share.min() == pytest.approx((found.sigma[0] / found.sigma[-1]) ** 2)


@pytest.mark.parametrize(
    ("noise", "phantom"),
    [
        (NoiseConfig(gaussian=0.05), PhantomConfig()),
        (NoiseConfig(gaussian=0.2), PhantomConfig(kind="foam", parts=(20, 60), part_size=(0.05, 0.3))),
        (NoiseConfig(gaussian=0.05), PhantomConfig(parts=400, part_size=(0.03, 0.08))),
        (NoiseConfig(), PhantomConfig()),
    ],
    ids=["blobs", "foam", "fine texture", "no noise"],
)
def test_noise_that_is_even_or_none_is_taken_for_that(noise: NoiseConfig, phantom: PhantomConfig) -> None:
    one = scan(noise, phantom=phantom)
    clean = one.clean.numpy()
    assert uneven_noise(one.proj.numpy(), clean) is None
    # nor if edges are foretold a little blurred
    assert uneven_noise(one.proj.numpy(), (clean + np.roll(clean, 1, 2)) / 2) is None or noise.gaussian == 0


def test_of_views_of_one_brightness_nothing_is_told() -> None:
    assert uneven_noise(np.random.default_rng(0).normal(size=(4, 20, 20)), np.zeros((4, 20, 20))) is None


def test_between_levels_the_noise_goes_linearly_and_beyond_them_it_stays() -> None:
    noise = UnevenNoise(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(noise.share(np.array([-1.0, 0.0, 0.5, 1.0, 9.0])), [1, 1, 1 / 1.5**2, 0.25, 0.25])


def test_pixels_behind_what_absorbs_much_count_the_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dx of three dense scans, after the step, against pixels that all count alike; their median."""
    ratios = []
    for seed in (1, 2, 3):
        one, stack = dense(seed)
        start = predict_shifts(stack, one.angle_rad, load_weights("pretrained"))
        errors = []
        for known in (uneven_noise, lambda *_: None):
            monkeypatch.setattr(together, "uneven_noise", known)
            joint = Joint(stack, one.angle_rad, start)
            joint.improve()
            errors.append(score_shifts(joint.table, one.shifts).dx_rmse_px)
        ratios.append(errors[0] / errors[1])
    assert np.median(ratios) < 0.97
