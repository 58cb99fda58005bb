"""Which methods are to align, and with which networks; kept in the address."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import streamlit as st

from pages.shared.address import Expected, number
from pages.shared.align_work import FILE, REFINED, Asked
from pages.shared.reading import config_of
from pages.shared.runs_table import labels
from pages.shared.words import NOT_TRAINED
from tomoalign_core.config import InputError
from tomoalign_core.engines import HOW_TO_GET_TOMOPY, tomopy_installed
from tomoalign_core.files.shifts import read_csv
from tomoalign_core.geometry import Shifts
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.learn.runs import Run, list_runs

PRETRAINED = "pretrained"
IN_THE_BOX = files("tomoalign_core.learn") / "pretrained" / "centroid.safetensors"  # found without torch
WEIGHTS = "best.safetensors"
AXIS_TILT, MOST_TILT_DEG = "axis-tilt", 90.0
KEYS = {"methods": "methods", "model": "model-choice"}  # names in the address and of the widgets
METHODS = {
    "network": "Network",
    "network+refine": "Network, refined",
    "center-of-mass": "Centre of mass",
    "profile-correlation": "Profile correlation",
    "phase-correlation": "Phase correlation",
    **({"tomopy-joint": "Joint reprojection (tomopy)"} if tomopy_installed() else {}),
}
AT_FIRST = [method for method in METHODS if method not in ("tomopy-joint", "network+refine")]  # they take longer
FROM_FILE = "From a file"


def expected_of_methods() -> dict[str, Expected]:
    """What the address may say of them, beside their names."""
    return {AXIS_TILT: number(-MOST_TILT_DEG, MOST_TILT_DEG, "none")}


def pick_methods(*, of_transposed: bool) -> list[Asked]:
    """The form: the methods to run, side by side, on views that are transposed or not.

    Raises
    ------
    InputError
        If the shift table that was given cannot be read.
    """
    labels = METHODS | ({} if read_only() else {FILE: FROM_FILE})
    _from_address("methods", AT_FIRST, list(labels))
    chosen = st.pills(
        "Methods", list(labels), selection_mode="multi", key="methods", wrap=True, format_func=labels.get,
        persist_state="session",
        help="All are shown side by side on the same stack. *Network*: what a trained one sees, and one step from "
        "there of all views together, by their likelihood. *Network, refined*: it looks once more where the views "
        "show fine details; then further steps, as long as the held-out residual falls. *Centre of mass*: where the "
        "mass of each view lies. *Profile correlation*: dx as before, dy from the sums of the rows, matched with all "
        "views. *Phase correlation*: each view against the one before. *From a file*: a shift table (CSV), as it is.",
    )  # fmt: skip
    _to_address("methods", chosen, AT_FIRST)
    if "tomopy-joint" not in METHODS:
        st.caption(f"Joint reprojection needs tomopy: `{HOW_TO_GET_TOMOPY}`")
    asked: list[Asked] = []
    networks = _networks() if any(method.startswith("network") for method in chosen) else []
    if networks:
        begin = _axis_tilt()
        networks = [replace(network, axis_tilt_deg=begin) for network in networks]
    for method in chosen:
        if method == "network":
            asked += networks
        elif method == "network+refine":
            asked += [replace(network, name=f"{network.name}{REFINED}", method=method) for network in networks]
        elif method == FILE:
            table, name = pick_table("table-to-judge", "Shift table (CSV)", of_transposed=of_transposed)
            asked += [Asked(name=name, method=FILE, table=table)] if table is not None else []
        else:
            asked.append(Asked(name=METHODS[method].lower(), method=method))
    return asked


def pick_table(key: str, words: str, *, of_transposed: bool) -> tuple[Shifts | None, str]:
    """A shift table that is uploaded, for views that are transposed or not, and its name.

    Raises
    ------
    InputError
        If it cannot be read, or is of views that lie otherwise.
    """
    file = st.file_uploader(words, ["csv"], key=key, help="As this page saves it, or any with angle_deg, dx_px, dy_px.")
    if file is None:
        return None, ""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / Path(file.name).name
        saved.write_bytes(file.getbuffer())
        try:
            return read_csv(saved, of_transposed=of_transposed), file.name
        except InputError as error:  # the visitor knows the name, not our folder
            raise InputError(str(error).replace(f"{folder}/", "")) from None


def _networks() -> list[Asked]:
    """The networks to align with: the one in the box, runs, files of weights."""
    trained = {run.id: run for run in list_runs() if (run.path / WEIGHTS).exists()}
    known = [*([PRETRAINED] if IN_THE_BOX.is_file() else []), *trained]
    by_path = not read_only()
    if not known and not by_path:
        st.info(NOT_TRAINED, icon=":material/model_training:")
        return []
    _from_address("model", known[:1], known, any_file=by_path)
    titles = {PRETRAINED: PRETRAINED, **labels(trained.values())}
    chosen = st.multiselect(
        "Models",
        known,
        key="model-choice",
        format_func=lambda name: titles.get(name, name),
        accept_new_options=by_path,
        persist_state="session",
        help="Any training that has finished an epoch can align; its best epoch is taken."
        + (" Or type the path of a .safetensors file on the server." if by_path else ""),
    )
    _to_address("model", chosen, known[:1])
    networks = [_network(name, trained) for name in chosen if name in known or by_path]
    names = [network.name for network in networks]
    # two runs of one name are told apart by their time
    return [
        replace(network, name=f"network, {titles.get(network.model, network.model)}")
        if names.count(network.name) > 1
        else network
        for network in networks
    ]


def _axis_tilt() -> float:
    """From where a network is to look for the tilt of the axis, degrees; 0 where it is to find out."""
    given = st.number_input(
        "Tilt of the axis, °", -MOST_TILT_DEG, MOST_TILT_DEG, None, 0.5, "%.1f", placeholder="found by itself",
        key=AXIS_TILT, bind="query-params",
        help="Of the rotation axis, clockwise off the columns of the detector. Networks find it; where they do not, "
        "say here about where it lies, and they begin there.",
    )  # fmt: skip
    return given or 0.0


def _network(name: str, trained: dict[str, Run]) -> Asked:
    path = trained[name].path / WEIGHTS if name in trained else Path(name)
    title = config_of(str(trained[name].path)).name if name in trained else path.name
    stamp = path.stat().st_mtime if path.is_file() else 0.0
    return Asked(name=f"network, {title}", method="network", model=name, stamp=stamp)


def _from_address(name: str, default: list[str], known: list[str], *, any_file: bool = False) -> None:
    """Set a choice of several from the address where that is news. Not bound: labels would stand in the address."""
    key, written = KEYS[name], f"{name} in the address"
    asked = st.query_params.get(name)
    if asked is not None and asked != st.session_state.get(written):
        wanted = [part for part in asked.split(",") if part]
        found = [part for part in wanted if part in known or (any_file and part.endswith(".safetensors"))]
        missing = [part for part in wanted if part not in found]
        if missing:
            st.warning(f"There is no {name.rstrip('s')} {', '.join(missing)} here.", icon=":material/search_off:")
        st.session_state[key] = found or default
    elif key not in st.session_state:
        st.session_state[key] = default


def _to_address(name: str, chosen: list[str], default: list[str]) -> None:
    text = ",".join(chosen)
    st.session_state[f"{name} in the address"] = text
    if chosen == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = text
