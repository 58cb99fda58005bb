"""Which runs are compared: filters, the choice that stands in the address, a colour for each that stays."""

from __future__ import annotations

import streamlit as st

from pages.shared.looks import STATES
from pages.shared.reading import config_of
from pages.shared.runs_table import labels
from tomoalign_core.config import InputError
from tomoalign_core.learn.comparison import newest_finished
from tomoalign_core.learn.runs import Run

MOST = 12  # more lines than that no one tells apart


def readable(runs: list[Run]) -> list[Run]:
    """The runs whose settings can be read; the others are named."""
    good = []
    for run in runs:
        try:
            config_of(str(run.path))
            good.append(run)
        except InputError as error:
            st.warning(str(error), icon=":material/folder_off:")
    return good


def filtered(runs: list[Run]) -> list[Run]:
    """The runs that the filters leave to choose from."""
    configs = {run.id: config_of(str(run.path)) for run in runs}
    networks = sorted({config.model.name for config in configs.values()})
    datasets = sorted({config.dataset.name for config in configs.values()})
    with st.expander("Filter the list of runs", icon=":material/filter_list:"):
        name, network, state, dataset = st.columns(4)
        words = name.text_input(
            "Name contains", key="with-name", bind="query-params", help="Any part of the run's name or id."
        ).strip()
        of_network = network.multiselect("Network", networks, key="with-network", bind="query-params")
        of_state = state.multiselect("State", list(STATES), key="with-state", bind="query-params")
        of_dataset = dataset.multiselect("Data set", datasets, key="with-dataset", bind="query-params")
    left = [
        run
        for run in runs
        if words.lower() in f"{configs[run.id].name} {run.id}".lower()
        and (not of_network or configs[run.id].model.name in of_network)
        and (not of_dataset or configs[run.id].dataset.name in of_dataset)
        and (not of_state or run.status().state in of_state)
    ]
    if len(left) < len(runs):
        st.caption(f"The filters leave {len(left)} of {len(runs)} runs to choose from.")
    return left


def pick_runs(runs: list[Run], offered: list[Run]) -> list[Run]:
    """A choice of runs, kept in the address as ``?runs=A,B``; at first the newest finished ones.

    Parameters
    ----------
    runs : all that may be named in the address.
    offered : those that the filters leave; what is chosen already stays chosen.
    """
    by_id = {run.id: run for run in runs}

    def chosen() -> None:
        st.query_params["runs"] = ",".join(st.session_state["compared"])

    named = st.query_params.get("runs")
    if named is None:
        wanted = [run.id for run in newest_finished() if run.id in by_id] or [run.id for run in offered[:4]]
    else:
        asked = [name for name in dict.fromkeys(named.split(",")) if name]
        wanted = [name for name in asked if name in by_id]
        missing = [name for name in asked if name not in by_id]
        if missing:
            st.warning(f"Not in this workspace: {', '.join(missing)}.", icon=":material/search_off:")
    st.query_params["runs"] = ",".join(wanted)
    st.session_state["compared"] = wanted
    st.multiselect(
        "Runs",
        list(dict.fromkeys([*wanted, *(run.id for run in offered)])),
        key="compared",
        on_change=chosen,
        format_func=labels(runs).get,
        max_selections=max(MOST, len(wanted)),
        placeholder="Choose runs to compare",
        help="Newest first. The address of this page names the chosen runs: copy it to share the view.",
    )
    return [by_id[run_id] for run_id in wanted]


def slots(chosen: list[str]) -> dict[str, int]:
    """Run id to the place of its colour, which it keeps for the whole visit, whoever joins or leaves."""
    kept = {run_id: slot for run_id, slot in st.session_state.get("slots", {}).items() if run_id in chosen}
    for run_id in chosen:
        if run_id not in kept:
            kept[run_id] = next(slot for slot in range(len(chosen)) if slot not in kept.values())
    st.session_state["slots"] = kept
    return kept
