"""Settings: validated, immutable, the same after a trip through JSON, and known by their content."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from safetensors import safe_open

from tomoalign_core.config import (
    CentroidConfig,
    Cnn3dConfig,
    DatasetConfig,
    InputError,
    MisalignConfig,
    NoiseConfig,
    PhantomConfig,
    Recipe,
    RunConfig,
    ScanConfig,
    Settings,
    SimulationConfig,
    TrainConfig,
    ValidationCase,
)
from tomoalign_core.learn.presets import PRESETS, preset
from tomoalign_core.learn.weights import PRETRAINED


@pytest.mark.parametrize("name", PRESETS)
def test_settings_come_back_from_json_equal_and_with_the_same_key(name: str):
    config = preset(name)
    back = RunConfig.from_json(config.to_json())
    assert back == config
    assert back.key() == config.key()


def test_ranges_and_single_numbers_both_survive_json():
    noise = NoiseConfig(gaussian=(0.01, 0.1), counts=500.0)
    assert NoiseConfig.from_json(noise.to_json()) == noise


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ScanConfig().n_views = 3  # type: ignore[misc]


def test_changed_copy_is_validated_and_leaves_the_original():
    scan = ScanConfig(n_views=60)
    assert scan.changed(n_views=7) == ScanConfig(n_views=7)
    assert scan.n_views == 60
    with pytest.raises(ValidationError, match="outside 3 to 4000"):
        scan.changed(n_views=2)


# ---------------------------------------------------------------- keys


def test_key_is_known_by_content_alone():
    assert RunConfig().key() == RunConfig(train=TrainConfig(), dataset=DatasetConfig()).key()
    assert len(RunConfig().key()) == 16


def test_names_and_how_it_is_watched_do_not_make_another_training():
    watched = TrainConfig(device="cpu", log_every=1, checkpoint_every=7, profiler=True)
    other = RunConfig(name="another", train=watched, dataset=DatasetConfig(name="called something else"))
    assert other.key() == RunConfig().key()


@pytest.mark.parametrize(
    "other",
    [
        RunConfig(train=TrainConfig(seed=1)),
        RunConfig(train=TrainConfig(epochs=25)),
        RunConfig(model=CentroidConfig(maps=9)),
        RunConfig(dataset=DatasetConfig(seed=1)),
        RunConfig(dataset=DatasetConfig(scan=ScanConfig(n_rows=81))),
    ],
    ids=["seed", "epochs", "model", "data seed", "rows"],
)
def test_whatever_changes_the_weights_changes_the_key(other: RunConfig):
    assert other.key() != RunConfig().key()


def test_runs_trained_before_a_setting_came_are_still_found_and_the_shipped_network_s_key_is_true():
    quick = preset("quick")
    assert quick.key() == "b94d346327ecf025"
    assert preset("full").key() == "3d27684da1a493ad"
    assert preset("notebook").key() == "50c59fbf3bcec745"
    with safe_open(PRETRAINED, framework="pt") as file:
        notes = file.metadata()
    assert quick.changed(train=quick.train.changed(epochs=50)).key() == notes["key"] == "ff0930604a162fc0"
    assert notes["key"] in PRETRAINED.with_suffix(".md").read_text(encoding="utf-8")


def test_a_setting_that_came_later_is_silent_at_its_default_and_only_there():
    class Before(Settings):
        width: int = 3

    class Now(Before):
        depth: int = 2
        silent_at_default = frozenset({"depth"})

    class Several(Settings):
        parts: tuple[Before | Now, ...]

    assert Now().key() == Before().key() != Now(depth=4).key()
    assert Now(depth=4).key() != Now(depth=5).key()
    assert Several(parts=(Now(),)).key() == Several(parts=(Before(),)).key() != Several(parts=(Now(depth=4),)).key()


@pytest.mark.parametrize(
    "dataset",
    [
        DatasetConfig(engine="tomopy"),
        DatasetConfig(train=(Recipe(name="ellipsoids", noise=NoiseConfig(clip=True)),)),
        DatasetConfig(
            validation=(ValidationCase(name="ellipsoids", simulation=SimulationConfig(engine="tomopy")),),
        ),
    ],
    ids=["engine", "clipped noise", "engine of a validation case"],
)
def test_another_engine_or_noise_makes_another_data_set(dataset: DatasetConfig):
    assert dataset.key() != DatasetConfig().key()


@pytest.mark.parametrize("later", [{"precision": "bfloat16"}, {"warm_up": 0.1}, {"schedule": "cosine"}])
def test_precision_and_schedule_make_another_training(later: dict[str, object]):
    assert RunConfig(train=TrainConfig.model_validate(later)).key() != RunConfig().key()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"scan": {"n_views": 2}}', "c.json: scan.n_views = 2: 2 is outside 3 to 4000"),
        ('{"scan": {"n_rows": [90, 80]}}', "c.json: scan.n_rows = [90, 80]: the range (90, 80) runs backwards"),
        ('{"noise": {"gain": 1.5}}', "c.json: noise.gain = 1.5: 1.5 is outside 0 to 0.9"),
        ('{"sead": 3}', "c.json: sead = 3: extra inputs are not permitted; there are scan, phantom, misalign"),
        ('{"misalign": {"drift": 3}}', "misalign.drift = 3: extra inputs are not permitted; there are dx_sigma_px,"),
        ('{"phantom": {"kind": "voxels"}}', "voxels' needs a path"),
        ('{"phantom": {"path": "v.npy"}}', "only that kind takes one"),
        ('{"phantom": {"kind": "cube"}}', "c.json: phantom.kind = 'cube': input should be 'ellipsoids'"),
        ('{"seed": 1', "c.json: the file = "),
    ],
)
def test_bad_json_is_answered_in_one_line_with_field_and_value(text: str, line: str):
    with pytest.raises(InputError) as caught:
        SimulationConfig.from_json(text, where="c.json")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"four"', "null", "-1", "[1, 2, 3]"])
def test_no_field_takes_what_is_not_a_fitting_number(value: str):
    with pytest.raises(InputError, match=r"dx_sigma_px"):
        MisalignConfig.from_json(f'{{"dx_sigma_px": {value}}}')


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"gone\.json: no such configuration file"):
        RunConfig.load(tmp_path / "gone.json")


def test_fault_in_a_file_names_the_file(tmp_path: Path):
    path = tmp_path / "run.json"
    path.write_text('{"train": {"epochs": 0}}')
    with pytest.raises(InputError, match=r"run\.json: train\.epochs = 0"):
        RunConfig.load(path)


def test_run_names_cannot_leave_their_folder():
    for name in ("../other", "a b", "", "x" * 61, "a/b"):
        with pytest.raises(ValidationError, match="name"):
            RunConfig(name=name)


def test_cnn3d_is_refused_what_it_cannot_do():
    many = DatasetConfig(scan=ScanConfig(n_rows=(64, 96)))
    with pytest.raises(ValidationError, match="one shape for all stacks, but n_rows is a range"):
        RunConfig(model=Cnn3dConfig(), dataset=many, train=TrainConfig(loss="mse"))
    with pytest.raises(ValidationError, match="gives no confidence"):
        RunConfig(model=Cnn3dConfig())


def test_unknown_preset_lists_the_known():
    with pytest.raises(InputError, match="choose one of quick, full, notebook"):
        preset("fast")


# ---------------------------------------------------------------- presets


def test_notebook_preset_is_the_notebook():
    config = preset("notebook")
    assert (config.dataset.scan.n_views, config.dataset.scan.n_rows, config.dataset.scan.n_cols) == (180, 256, 366)
    assert config.dataset.scan.include_end  # tomopy.angles(180) holds both 0 and 180 degrees
    assert (config.dataset.fixed, config.dataset.validation[0].stacks) == (96, 24)
    assert config.dataset.one_phantom
    misalign = config.dataset.train[0].misalign
    assert (misalign.dx_sigma_px, misalign.dy_sigma_px, misalign.roll_sigma_deg) == (4, 1, 1)
    assert misalign.rounded
    train = config.train
    assert (train.optimizer, train.learning_rate, train.momentum, train.loss) == ("sgd", 1e-2, 0.9, "raw-mse")
    assert (train.epochs, train.steps_per_epoch, train.batch) == (50, 96, 1)


def test_quick_and_full_are_measured_on_the_stated_yardsticks():
    for name in ("quick", "full"):
        blobs, pillars = preset(name).dataset.validation
        stage = blobs.simulation.misalign
        assert (stage.dx_sigma_px, stage.dy_sigma_px, stage.roll_sigma_deg) == (4, 1, 1)
        assert (blobs.simulation.noise.gaussian, blobs.simulation.noise.background) == (0.1, 0.2)
        assert (pillars.simulation.phantom.kind, pillars.simulation.noise.gaussian) == ("pillar", 0.03)


def test_voxel_phantom_takes_a_path():
    assert PhantomConfig(kind="voxels", path="sample.npy").path == "sample.npy"
