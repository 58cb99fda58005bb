"""A sweep gives one run for each combination of values, each of them a training that can be, and none twice."""

from __future__ import annotations

import pytest

from tomoalign_core.config import InputError, RunConfig, TrainConfig
from tomoalign_core.learn.presets import preset
from tomoalign_core.learn.sweep import expand, field_of, kind_of, parse_values

QUICK = preset("quick")


def test_every_combination_is_there_once_with_its_values_in_its_name() -> None:
    found = expand(QUICK, {"train.learning_rate": [1e-3, 3e-3], "model.channels": [8, 16]})
    assert [(run.train.learning_rate, run.model.channels) for run in found] == [
        (1e-3, 8), (1e-3, 16), (3e-3, 8), (3e-3, 16),
    ]  # fmt: skip
    assert [run.name for run in found] == [
        "quick-lr0.001-ch8", "quick-lr0.001-ch16", "quick-lr0.003-ch8", "quick-lr0.003-ch16",
    ]  # fmt: skip
    assert {run.dataset for run in found} == {QUICK.dataset}


def test_a_combination_with_the_values_of_the_preset_is_the_preset_s_training() -> None:
    found = expand(QUICK, {"train.learning_rate": [QUICK.train.learning_rate, 5e-3]})
    assert found[0].key() == QUICK.key() != found[1].key()


def test_what_would_train_the_same_is_given_once() -> None:
    assert len(expand(QUICK, {"train.batch": [2, 2, 3]})) == 2
    assert len(expand(QUICK, {"train.log_every": [1, 10], "train.seed": [0, 1]})) == 2


def test_fields_of_the_data_set_and_the_network_itself_can_be_varied() -> None:
    found = expand(QUICK, {"dataset.scan.n_views": [40, 60], "dataset.seed": [1]})
    assert [(run.dataset.scan.n_views, run.dataset.seed) for run in found] == [(40, 1), (60, 1)]
    assert found[0].dataset.train == QUICK.dataset.train
    networks = expand(preset("notebook"), {"model.name": ["cnn3d", "centroid"]})
    assert [run.model.name for run in networks] == ["cnn3d", "centroid"]
    assert networks[0].model.force_std  # kept, as it is no other network


def test_a_combination_that_cannot_be_is_named_with_its_fault() -> None:
    with pytest.raises(InputError) as caught:
        expand(QUICK, {"train.epochs": [5], "model.channels": [16, 1]})
    assert str(caught.value).startswith("train.epochs = 5, model.channels = 1: model.centroid.channels = 1: ")
    with pytest.raises(InputError, match=r"model.name = cnn3d: .*needs one shape"):
        expand(QUICK, {"model.name": ["centroid", "cnn3d"]})


def test_more_than_64_are_refused_in_one_line() -> None:
    assert len(expand(QUICK, {"train.seed": list(range(64))})) == 64
    with pytest.raises(InputError, match=r"^65 runs are too many at once"):
        expand(QUICK, {"train.seed": list(range(65))})


def test_names_stay_names_however_long_and_are_told_apart() -> None:
    base = QUICK.changed(name="a" * 58)
    found = expand(base, {"train.weight_decay": [1e-5, 2e-5], "train.clip": [1e6]})
    names = [run.name for run in found]
    assert len(set(names)) == 2
    assert all(RunConfig(name=name) for name in names)


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("1e-4, 3e-4, 1e-3", "train.learning_rate", [1e-4, 3e-4, 1e-3]),
        ("8 16 32", "model.channels", [8, 16, 32]),
        (" 8;16,\n32, ", "model.channels", [8, 16, 32]),
        ("0-3 9", "train.seed", [0, 1, 2, 3, 9]),
        ("laplace, smooth-l1", "train.loss", ["laplace", "smooth-l1"]),
        ("yes no", "model.force_std", [True, False]),
        ("40, 60", "dataset.scan.n_views", [40, 60]),
        ("cpu cuda:1", "train.device", ["cpu", "cuda:1"]),
        ("2 2 2", "train.batch", [2]),
    ],
)
def test_what_people_type_is_read(text: str, path: str, values: list[object]) -> None:
    found = parse_values(text, path)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("1e-4, few", "train.learning_rate", "train.learning_rate: 'few' is not a number"),
        ("8.5", "model.channels", "model.channels: '8.5' is not a whole number"),
        ("", "model.channels", "'' is not a whole number"),
        ("5-2", "train.seed", "'5-2' must go up"),
        ("0-64", "train.seed", "by fewer than 64"),
        ("mse, best", "train.loss", "'best' is not a choice; there are laplace, smooth-l1, mse, raw-mse"),
        ("maybe", "train.profiler", "'maybe' is neither yes nor no"),
        ("1", "train.speed", "train.speed: there is no such setting"),
        ("1", "train", "train: takes no list of values"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text: str, path: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_values(text, path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_setting_of_a_training_and_of_the_networks_has_words_that_explain_it() -> None:
    paths = [f"train.{name}" for name in TrainConfig.model_fields]
    paths += [
        f"model.{name}" for name in ("channels", "maps", "profiles", "head", "search_rows", "passes", "force_std")
    ]
    assert [path for path in paths if not field_of(path).description] == []
    assert kind_of("model.name") == ("centroid", "cnn3d")
