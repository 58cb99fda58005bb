"""Samples are found by their names, and are all scans that can be made."""

from __future__ import annotations

import pytest

from tomoalign_core.config import InputError
from tomoalign_core.samples import SAMPLES, sample
from tomoalign_core.simulate import plan_scan


def test_a_sample_is_found_by_its_name_whatever_its_case() -> None:
    assert sample("tilt SERIES") == SAMPLES["Tilt series"].config


def test_an_unknown_name_is_one_line_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no sample is called 'hard'; choose one of Easy, Noisy"):
        sample("hard")


def test_each_sample_is_another_scan_of_an_object_with_a_seed_of_its_own() -> None:
    plans = {name: plan_scan(value.config) for name, value in SAMPLES.items()}
    assert len({value.config.key() for value in SAMPLES.values()}) == len(SAMPLES)
    assert all(value.config.phantom_seed is not None for value in SAMPLES.values())
    assert all(len(plan.shifts) == SAMPLES[name].config.scan.n_views for name, plan in plans.items())
