"""Where a stack to align comes from: a simulated sample, a file on the server, an upload."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.shared.scans import SAMPLES, preview
from tomoalign_core.config import InputError
from tomoalign_core.files.stacks import Stack, read_stack

SAMPLE, PATH, UPLOAD = "Sample", "Server file", "Upload"
FROM_SIMULATE = "as set on the Simulate page"
STACK_TYPES = ["h5", "hdf5", "hdf", "nxs", "npz", "npy", "tif", "tiff"]
KINDS = {"auto": "guess", "attenuation": "attenuation (line integrals)", "counts": "counts"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A stack that has been asked for: ``key`` changes when it does, ``read`` reads it, ``bound_px`` if it is known."""

    key: str
    name: str
    read: Callable[[], Stack]
    bound_px: tuple[float, float] | None = None


def pick_source() -> Source | None:
    """The form; None as long as something is missing."""
    kind = st.segmented_control(
        "Stack", [SAMPLE, PATH, UPLOAD], default=SAMPLE, required=True, key="source", bind="query-params",
        help="Files of any size are best read from the server's disk; uploads pass through the browser.",
    )  # fmt: skip
    return {SAMPLE: _sample, PATH: _path, UPLOAD: _upload}[kind]()


def _sample() -> Source:
    mine = st.session_state.get("simulation")
    options = [*SAMPLES, *([FROM_SIMULATE] if mine else [])]
    name = st.selectbox(
        "Sample",
        options,
        key="sample",
        bind="query-params",
        help="Simulated, so that the truth is known. Set up your own on Simulate.",
    )
    text = mine if name == FROM_SIMULATE else SAMPLES[name].to_json(indent=None)
    scan = preview(text)
    stack = Stack(proj=scan.proj, angle_rad=scan.shifts.angle_rad, source=name, truth=scan.shifts)
    return Source(key=text, name=name, read=lambda: stack, bound_px=scan.bound_px)


def _path() -> Source | None:
    path = st.text_input(
        "Path", key="path", bind="query-params", placeholder="/data/scan.h5",
        help="HDF5 (Data Exchange, NXtomo), a TIFF stack or folder, NPZ or NPY, as the server sees it.",
    ).strip()  # fmt: skip
    angles = st.text_input(
        "Angle file", key="angles", bind="query-params", placeholder="where the stack holds none",
        help="Text, one angle in degrees a line.",
    ).strip()  # fmt: skip
    options = _inside()
    if not path:
        return None
    where = Path(path)
    stamp = where.stat() if where.exists() else None
    return Source(
        key=repr((path, angles, options, stamp and (stamp.st_size, stamp.st_mtime_ns))),
        name=where.name,
        read=lambda: read_stack(path, angles_path=angles or None, **options),
    )


def _upload() -> Source | None:
    file = st.file_uploader(
        "Stack", STACK_TYPES, key="upload", help="HDF5, NPZ, NPY or a TIFF stack. Kept only while it is read."
    )
    angles = st.file_uploader(
        "Angle file, if the stack holds none", ["txt", "csv", "tlt", "rawtlt"], key="upload-angles",
        help="Text, one angle in degrees a line.",
    )  # fmt: skip
    options = _inside()
    if file is None:
        return None

    def read() -> Stack:
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / Path(file.name).name
            saved.write_bytes(file.getbuffer())
            angles_saved = Path(folder) / "angles.txt" if angles else None
            if angles_saved:
                angles_saved.write_bytes(angles.getbuffer())
            try:
                return read_stack(saved, angles_path=angles_saved, **options)
            except InputError as error:  # the visitor knows the name, not our folder
                raise InputError(str(error).replace(f"{folder}/", "")) from None

    digest = hashlib.sha256(file.getbuffer()).hexdigest()
    return Source(key=repr((digest, angles and angles.file_id, options)), name=file.name, read=read)


def _inside() -> dict[str, str | None]:
    """Where the arrays are inside the file, and what they are."""
    with st.expander("Inside the file", icon=":material/data_object:"):
        data = st.text_input(
            "Data set of the views", key="data-path", placeholder="/exchange/data",
            help="For HDF5 and NPZ of another layout: the name of the 3-D array, views first.",
        )  # fmt: skip
        angle = st.text_input(
            "Data set of the angles", key="angles-data-path", placeholder="/exchange/theta", help="In degrees."
        )
        kind = st.selectbox(
            "Pixels are", list(KINDS), format_func=KINDS.get, key="kind-of-pixels",
            help="Counts become attenuation: flat and dark field, −log. The guess: counts if there is a flat field.",
        )  # fmt: skip
    return {"data_path": data.strip() or None, "angles_data_path": angle.strip() or None, "kind": kind}
