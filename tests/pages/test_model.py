"""Model sizes the network that stands in the address, and warns before one that does not fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kit import by_label, in_state, show, well, words
from streamlit.testing.v1 import AppTest

from tomoalign_core.learn.presets import notebook
from tomoalign_core.learn.runs import create_run

SMALL = {"views": "40", "rows": "48", "cols": "56"}


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def test_centroid_is_sized_as_the_address_says() -> None:
    at = well(show("model", channels="8", maps="4", passes="2", batch="1", **SMALL))
    assert at.number_input(key="model-channels").value == 8
    assert at.number_input(key="model-rows").value == 48
    layers = at.dataframe[0].value.set_index("layer")
    assert layers.loc["first", "parameters"] == 8 * 25
    assert layers.loc["second", "output shape"] == "1 × 8 × 40 × 24 × 28"
    assert layers.loc["first", "calls"] == 2
    assert metrics(at)["Parameters"] == f"{layers['parameters'].sum():,}"
    assert "it fits" in at.success[0].value
    assert not at.warning
    related = next(c.value for c in at.caption if "belong together" in c.value)
    needed, free = re.findall(r"[\d.]+ [kMGT]?B", at.success[0].value)
    figures = [metrics(at)["Training step"], metrics(at)["Activations"], "0.6 GB", needed, free]
    assert re.findall(r"[\d.]+ [kMGT]?B", related) == figures


def test_cnn3d_has_the_notebooks_table_at_the_notebooks_size() -> None:
    at = show("model", network="cnn3d", views="180", rows="256", cols="366", batch="1", force_std="True")
    layers = well(at).dataframe[0].value.set_index("layer")
    assert layers.loc["group1.0", "parameters"] == 448
    assert layers.loc["flatten", "output shape"] == "1 × 7040"
    assert at.toggle(key="model-force_std").value is True
    assert "five poolings leave 5 of 180 views" in words(at)
    assert any("[1, 360]" in code.value for code in at.code)
    assert at.dataframe[1].value["rows, px"].tolist() == ["4", "10", "30", "70", "150", "214", "all"]


def test_what_is_changed_on_the_page_goes_into_the_address_and_back() -> None:
    at = show("model", **SMALL)
    at.number_input(key="model-channels").set_value(12).run()
    at.segmented_control(key="model-by").set_value("Parameters").run()
    address = dict(well(at).query_params)
    assert address == {**SMALL, "channels": "12", "by": "Parameters"}
    again = well(show("model", **address))
    assert metrics(again) == metrics(at)
    assert again.segmented_control(key="model-by").value == "Parameters"


def test_a_change_that_comes_before_the_browser_knows_of_the_one_before_undoes_nothing() -> None:
    at = show("model", **SMALL)
    at.number_input(key="model-channels").set_value(12).run()
    at.query_params = dict(SMALL)  # what the browser asked with: the word of the first change is on its way to it
    at.number_input(key="model-batch").set_value(4).run()
    assert dict(well(at).query_params) == {**SMALL, "channels": "12", "batch": "4"}
    assert at.number_input(key="model-channels").value == 12

    at.query_params = dict(SMALL)  # a step back in the browser
    at.run()
    assert [well(at).number_input(key=f"model-{name}").value for name in ("channels", "batch")] == [16, 3]


def test_a_scan_button_sets_the_scan_and_the_batch_of_that_training() -> None:
    at = show("model", **SMALL)
    by_label(at.button, "notebook").click().run()
    values = [at.number_input(key=f"model-{name}").value for name in ("views", "rows", "cols", "batch")]
    assert values == [180, 256, 366, 1]


def test_a_monster_is_warned_of_before_it_is_trained() -> None:
    at = well(show("model", views="4000", rows="4096", cols="4096", batch="64", channels="256"))
    assert not at.success
    assert "TB in training" in at.warning[0].value
    assert "choose a batch of 1 and a smaller scan" in at.warning[0].value


@pytest.mark.parametrize("query", [{"channels": "9999", "views": "x", "weights": ""}, {"network": "gpt", "rows": "-3"}])
def test_an_address_that_cannot_be_is_brought_within_the_limits(query: dict[str, str]) -> None:
    at = well(show("model", **{**SMALL, **query}))
    assert at.number_input(key="model-channels").value in (16, 256)
    assert at.number_input(key="model-rows").value in (8, 48)


def test_what_cannot_be_built_is_one_line() -> None:
    at = well(show("model", network="cnn3d", views="20", rows="48", cols="56"))
    assert [e.value for e in at.error] == [
        "cnn3d halves each axis five times; (20, 48, 56) is smaller than 32 somewhere; use larger stacks"
    ]
    at = well(show("model", weights="nowhere"))
    assert at.error[0].value.startswith("nowhere: no such run")


def test_trained_weights_of_cnn3d_keep_their_scan(workspace: Path) -> None:
    from tomoalign_core.learn.models import build_model
    from tomoalign_core.learn.weights import save_weights

    run = create_run(notebook(scale=0.2))
    config, shape = run.config.model, (36, 51, 73)
    save_weights(run.path / "best.safetensors", build_model(config, shape), config, shape, epoch="3")
    at = well(show("model", weights=run.id, views="99"))
    assert "36 views of 51 × 73 px" in words(at)
    assert [field.label for field in at.number_input] == ["Batch, stacks"]
    assert at.dataframe[0].value.set_index("layer").loc["fc2", "output shape"] == "1 × 72"
    assert "| epoch | 3 |" in words(at)


def test_a_path_in_the_address_is_not_looked_at(tmp_path: Path) -> None:
    at = well(show("model", weights=str(tmp_path / "secret.safetensors"), **SMALL))
    assert at.selectbox(key="model-weights").value == "none"
    assert not at.error


def test_trained_weights_show_what_is_inside(trained: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = in_state(trained, workspace, "finished")
    monkeypatch.setenv("TOMOALIGN_READONLY", "1")
    at = well(show("model", weights="pretrained", **SMALL))
    assert "centroid.safetensors" in words(at)
    assert "76 views of 88 × 112 px" in words(at)
    at = well(show("model", weights=run.id, **SMALL))
    assert f"| epoch | {run.status().best_epoch} |" in words(at)
    assert run.config.key() in words(at)


def test_the_scans_that_are_offered_are_those_of_the_trainings() -> None:
    from pages.shared.model_form import SCANS
    from tomoalign_core.learn.presets import preset

    for name, scan in SCANS.items():
        run = preset(name)
        assert scan == (*run.dataset.scan.largest_shape(), run.train.batch), name
