"""Simulate as it was left: its sliders on coming back, and those that a link brings, as names or as one scan."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.shared.address import Expected, leave_out, number, one_of
from pages.shared.router import visit
from pages.shared.scan_form import (
    BODY,
    KINDS,
    KNOBS,
    MOST_SEED,
    NOISES,
    PARTS,
    PHOTONS,
    ROW,
    SAMPLE,
    TOGGLES,
    configured,
    widget_values,
)
from pages.shared.sources import SCAN
from tomoalign_core.config import InputError, SimulationConfig
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.samples import SAMPLES

LEFT, CAME, TURNED = "simulate as it was left", "visit to Simulate", "visit to Simulate that was begun twice"
SEEDS = {"number": "Scan no.", "object": "Object no."}
KEYS = (
    *(knob.key for knob in KNOBS), *TOGGLES, *SEEDS, "kind", "volume", "noise", "counts", "engine", SAMPLE, ROW,
)  # fmt: skip


def come_back() -> str:
    """Set the widgets of a visitor who just came: by the address, else as they were left; what is amiss, in words.

    Names of widgets in the address go before a scan in it, which Align carries along, and either before what was left.
    """
    if st.session_state.get(CAME) == visit():
        leave_out([SCAN])  # again, if the run that took it out was cut short before the browser heard of it
        return ""
    here_before, by_name = SAMPLE in st.session_state, any(key in st.query_params for key in KEYS)
    if here_before and not by_name and st.session_state.get(TURNED) != visit():
        # a run that a browser's Back began sets widgets by the address, whatever the session says: not so the next
        st.session_state[TURNED] = visit()
        st.rerun()
    st.session_state[CAME] = visit()
    left: dict[str, Any] = st.session_state.get(LEFT, {})
    text = st.query_params.pop(SCAN, None)
    if by_name:
        for key in KEYS if here_before else ():  # or what the address leaves out would stay as it was
            st.session_state.pop(key, None)
        return ""
    st.query_params.clear()  # of names of the page before
    if text is None:
        st.session_state.update(left)
        return ""
    try:
        values, fault = _of_scan(SimulationConfig.from_json(text, where="The scan in the address"))
    except InputError as error:
        st.session_state.update(left)
        return f"{error}."
    st.session_state.update(left if _same(left, values) else values)
    return fault


def remember() -> None:
    """Keep what the widgets show, for when the visitor comes back."""
    st.session_state[LEFT] = {key: st.session_state[key] for key in KEYS if key in st.session_state}


def expected_in_address() -> dict[str, Expected]:
    """What the address of Simulate may hold, by the name of the widget."""
    begin_with = st.query_params.get(SAMPLE, st.session_state.get(SAMPLE))
    sample = begin_with if begin_with in SAMPLES else next(iter(SAMPLES))
    begin = widget_values(SAMPLES[sample].config)
    kinds = [label for kind, label in KINDS.items() if kind != "voxels" or not read_only()]
    known: dict[str, Expected] = {
        SAMPLE: one_of(list(SAMPLES), sample),
        "kind": one_of(kinds, KINDS[begin["kind"]]),
        "noise": one_of(list(NOISES.values()), NOISES[begin["noise"]]),
        "counts": one_of([f"{photons:,}" for photons in PHOTONS], f"{begin['counts']:,}"),
    }
    known |= {knob.key: number(knob.low, knob.high, _words(begin[knob.key])) for knob in KNOBS}
    known |= {seed: number(0, MOST_SEED, "the nearest") for seed in SEEDS}
    known |= {key: one_of(("true", "false"), str(begin[key]).lower()) for key in TOGGLES}
    asked = st.query_params.get("rows", "")
    rows = int(asked) if asked.isdecimal() and known["rows"].fits(asked) else begin["rows"]
    return known | {ROW: number(0, rows - 1, rows // 2)}


def _words(shown: Any) -> str:
    ends = shown if isinstance(shown, tuple) else (shown,)
    return " to ".join(f"{end:g}" for end in ends)


def _of_scan(config: SimulationConfig) -> tuple[dict[str, Any], str]:
    """The widgets' values nearest to a scan, and a word on what no slider reaches."""
    values = widget_values(config)
    for knob in KNOBS:
        shown = values[knob.key]
        ends = [min(max(end, knob.low), knob.high) for end in (shown if isinstance(shown, tuple) else (shown,))]
        values[knob.key] = tuple(ends) if knob in (*PARTS, BODY) else ends[0]
    values["counts"] = min(PHOTONS, key=lambda photons: abs(photons - values["counts"]))
    values |= {seed: min(values[seed], MOST_SEED) for seed in SEEDS}
    if values["kind"] == "voxels" and read_only():
        values |= {"kind": "ellipsoids", "volume": ""}
    values |= {SAMPLE: next((name for name, value in SAMPLES.items() if value.config == config), next(iter(SAMPLES)))}
    reached = configured(values) == config
    fault = "" if reached else "The sliders do not reach all settings of the scan in the address; shown is the nearest."
    return values | {ROW: values["rows"] // 2}, fault


def _same(left: dict[str, Any], values: dict[str, Any]) -> bool:
    """Whether what was left is that scan; the row and the sample that it began as do not matter."""
    return bool(left) and all(left[key] == values[key] for key in left if key not in (SAMPLE, ROW))
