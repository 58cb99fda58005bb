"""Where a stack to align comes from: a simulated sample, a file on the server, an upload."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared.address import Expected, one_of
from pages.shared.scans import preview
from tomoalign_core.config import InputError, SimulationConfig
from tomoalign_core.files.stacks import Stack, TiltAxis, read_stack
from tomoalign_core.learn.jobs import read_only
from tomoalign_core.samples import SAMPLES

SAMPLE, PATH, UPLOAD = "Sample", "Server file", "Upload"
FROM_SIMULATE = "as set on the Simulate page"
FIRST_SAMPLE = "Noisy"  # the methods differ on it
STACK_TYPES = ["h5", "hdf5", "hdf", "nxs", "npz", "npy", "tif", "tiff", "mrc", "mrcs", "st", "ali", "preali"]
KINDS = {"auto": "guess", "attenuation": "attenuation (line integrals)", "counts": "counts"}
TILT_AXES = {"vertical": "the columns", "horizontal": "the rows"}
SCAN = "scan"  # in the address: the settings of Simulate, so that a link brings them along
MOST_PIXELS = 40_000_000  # of a simulated stack that comes with a link
ONLY_SAMPLES = (
    "TOMOALIGN_READONLY is set: this dashboard is shown, not worked with, and opens no files; choose a sample, or run "
    "your own copy"
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A stack that has been asked for: ``key`` changes when it does, ``read`` reads it, ``bound`` tells its bound, px.

    The bound is None where nothing says what the stack is like without its noise.

    ``cheap``: it is there and aligned in a moment, so that a link may align it without a click. ``tilt_axis``: as which
    a file is read; None where there can be no doubt.
    """

    key: str
    name: str
    read: Callable[[], Stack]
    bound: Callable[[Stack], tuple[float, float] | None]
    cheap: bool = False
    tilt_axis: TiltAxis | None = None


def expected_in_address() -> dict[str, Expected]:
    """What the address may say of the source, by the name of the widget."""
    mine = [FROM_SIMULATE] if SCAN in st.query_params or "simulation" in st.session_state else []
    known = {
        "sample": one_of([*SAMPLES, *mine], FIRST_SAMPLE),
        "pixels": one_of(list(KINDS.values()), KINDS["auto"]),
        "tilt-axis": one_of(list(TILT_AXES.values()), TILT_AXES["vertical"]),
    }
    return known if read_only() else known | {"source": one_of((SAMPLE, PATH, UPLOAD), SAMPLE)}


def pick_source() -> Source | None:
    """The form; None as long as something is missing. A dashboard that is only shown opens no files.

    Raises
    ------
    InputError
        If a link holds settings of a scan that cannot be read.
    """
    if read_only():
        if st.query_params.pop("source", SAMPLE) != SAMPLE:
            st.error(ONLY_SAMPLES, icon=":material/visibility:")
        return _sample()
    kind = st.segmented_control(
        "Stack", [SAMPLE, PATH, UPLOAD], default=SAMPLE, required=True, key="source", bind="query-params", wrap=True,
        help="Files of any size are best read from the server's disk; uploads pass through the browser.",
    )  # fmt: skip
    return {SAMPLE: _sample, PATH: _path, UPLOAD: _upload}[kind]()


def _sample() -> Source:
    mine = _of_simulate()
    options = [*SAMPLES, *([FROM_SIMULATE] if mine else [])]
    name = st.selectbox(
        "Sample",
        options,
        options.index(FIRST_SAMPLE),
        key="sample",
        bind="query-params",
        help="Simulated, so that the truth is known. Set up your own on Simulate.",
    )
    if name == FROM_SIMULATE:
        assert mine is not None
        config = mine
        st.query_params[SCAN] = config.model_dump_json(exclude_defaults=True)
    else:
        config = SAMPLES[name].config
        st.caption(SAMPLES[name].about)
        st.query_params.pop(SCAN, None)
    text = config.to_json(indent=None)

    def read() -> Stack:
        scan = preview(text)
        return Stack(proj=scan.proj, angle_rad=scan.shifts.angle_rad, source=name, truth=scan.shifts)

    return Source(key=f"simulated {text}", name=name, read=read, bound=lambda _: preview(text).bound_px, cheap=True)


def _of_simulate() -> SimulationConfig | None:
    """The settings of the Simulate page: of this visit, or those that a link brought."""
    text = st.session_state.get("simulation")
    if text is None and SCAN in st.query_params:
        text = st.query_params[SCAN]
    if text is None:
        return None
    config = SimulationConfig.from_json(text, where="the scan in the address")
    sizes = (config.scan.n_views, config.scan.n_rows, config.scan.n_cols)
    views, rows, cols = (max(size) if isinstance(size, tuple) else size for size in sizes)
    if views * rows * cols > MOST_PIXELS:
        raise InputError(f"the scan in the address: {views} views of {rows} × {cols} px are too many to simulate here")
    if config.phantom.path is not None and read_only():
        raise InputError(ONLY_SAMPLES)
    return config


def _path() -> Source | None:
    path = st.text_input(
        "Path", key="path", bind="query-params", placeholder="/data/scan.h5",
        help="HDF5 (Data Exchange, NXtomo), a TIFF stack or folder, MRC, NPZ or NPY, as the server sees it.",
    ).strip()  # fmt: skip
    angles = st.text_input(
        "Angle file", key="angles", bind="query-params", placeholder="where the stack holds none",
        help="Text, one angle in degrees a line; or SerialEM's .mdoc.",
    ).strip()  # fmt: skip
    options = _inside()
    fields = _fields()
    if not path:
        return None
    where = Path(path)
    stamp, *of_fields = (_stamp(Path(one)) if one else None for one in (path, *fields.values()))
    if stamp is not None and where.is_file():
        st.caption(
            f"**{where.name}**: {size_words(stamp.st_size)} on the disk; all of it is read into the server's memory."
        )

    def read() -> Stack:
        if read_only():
            raise InputError(ONLY_SAMPLES)
        if stamp is not None and stamp.st_size > memory_bytes() / 2:
            raise InputError(
                f"{path}: {size_words(stamp.st_size)}, and the server has {size_words(memory_bytes())} of memory; "
                "bin it, or align it on a larger machine"
            )
        return read_stack(path, angles_path=angles or None, **fields, **options)

    stamps = [one and (one.st_size, one.st_mtime_ns) for one in (stamp, *of_fields)]
    key = json.dumps((path, angles, options, fields, stamps))
    return Source(
        key=key,
        name=where.name,
        read=read,
        bound=lambda stack: _of_built_set(where) or _of_settings(stack),
        tilt_axis=options["tilt_axis"],
    )


def _fields() -> dict[str, str | None]:
    """Where flat and dark fields are, if not in the stack's own file."""
    given = {"flats", "darks"} & set(st.query_params)
    with st.expander("Flat and dark fields", icon=":material/light_mode:", expanded=bool(given)):
        flats = st.text_input(
            "Flat fields", key="flats", bind="query-params", placeholder="a file or a folder",
            help="Where the stack holds none: a file or a folder with one or more, of any format. The pixels of the "
            "stack are counts then.",
        )  # fmt: skip
        darks = st.text_input(
            "Dark fields", key="darks", bind="query-params", placeholder="a file or a folder",
            help="The same, without light.",
        )  # fmt: skip
    return {"flats_path": flats.strip() or None, "darks_path": darks.strip() or None}


def _stamp(path: Path) -> os.stat_result | None:
    return path.stat() if path.exists() else None


def _of_built_set(path: Path) -> tuple[float, float] | None:
    """The bound of a stack of a built data set, in whose file stands what it is like without noise."""
    from tomoalign_core.files.simulated import is_simulated, read_simulated
    from tomoalign_core.metrics import scan_bound

    if not is_simulated(path):
        return None
    scan = read_simulated(path)
    return scan_bound(scan.clean, gaussian=scan.gaussian, counts=scan.counts)


def _of_settings(stack: Stack) -> tuple[float, float] | None:
    """The bound of a stack that its file says how to simulate anew."""
    from tomoalign_core.report.of_stack import simulated

    again = simulated(stack) if stack.proj.size <= MOST_PIXELS else None
    return None if again is None else again.bound_px


def _upload() -> Source | None:
    limit_mb = st.get_option("server.maxUploadSize")
    file = st.file_uploader(
        f"Stack, up to {limit_mb} MB",
        STACK_TYPES,
        key="upload",
        help="HDF5, TIFF, MRC, NPZ or NPY. Kept only while it is read. Larger ones: put them on the server's disk.",
    )
    angles = st.file_uploader(
        "Angle file, if the stack holds none", ["txt", "csv", "tlt", "rawtlt", "mdoc"], key="upload-angles",
        help="Text, one angle in degrees a line; or SerialEM's .mdoc.",
    )  # fmt: skip
    options = _inside()
    if file is None:
        return None

    def read() -> Stack:
        if read_only():
            raise InputError(ONLY_SAMPLES)
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / Path(file.name).name
            saved.write_bytes(file.getbuffer())
            angles_saved = Path(folder) / f"angles{Path(angles.name).suffix}" if angles else None
            if angles_saved:
                angles_saved.write_bytes(angles.getbuffer())
            try:
                return read_stack(saved, angles_path=angles_saved, **options)
            except InputError as error:  # the visitor knows the name, not our folder
                raise InputError(str(error).replace(f"{folder}/", "")) from None

    digests = [hashlib.sha256(part.getbuffer()).hexdigest() for part in (file, angles) if part is not None]
    key = json.dumps((digests, options))
    return Source(key=key, name=file.name, read=read, bound=_of_settings, tilt_axis=options["tilt_axis"])


def _inside() -> dict[str, Any]:
    """Where the arrays are inside the file, what they are, and how the axis lies."""
    given = {"data-path", "angles-path", "pixels", "tilt-axis"} & set(st.query_params)
    with st.expander("Inside the file", icon=":material/data_object:", expanded=bool(given)):
        data = st.text_input(
            "Data set of the views", key="data-path", bind="query-params", placeholder="/exchange/data",
            help="For HDF5 and NPZ of another layout: the name of the 3-D array, views first.",
        )  # fmt: skip
        angle = st.text_input(
            "Data set of the angles", key="angles-path", bind="query-params", placeholder="/exchange/theta",
            help="In degrees.",
        )  # fmt: skip
        kind = st.selectbox(
            "Pixels are", list(KINDS.values()), key="pixels", bind="query-params",
            help="Counts become attenuation: flat and dark field, −log. The guess: counts if there is a flat field.",
        )  # fmt: skip
        axis = st.selectbox(
            "The rotation axis lies along", list(TILT_AXES.values()), key="tilt-axis", bind="query-params",
            help="The axis that the sample turns about, as it lies in the views. Electron tilt series often have it "
            "along the rows: they are then transposed.",
        )  # fmt: skip
    return {
        "data_path": data.strip() or None,
        "angles_data_path": angle.strip() or None,
        "kind": _name_of(kind, KINDS),
        "tilt_axis": _name_of(axis, TILT_AXES),
    }


def _name_of(label: str, labels: dict[str, str]) -> str:
    return next(name for name, words in labels.items() if words == label)


def memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def size_words(n_bytes: float) -> str:
    """A size as people say it.

    >>> size_words(900), size_words(1.6e6), size_words(4.25e9)
    ('0.9 kB', '1.6 MB', '4.2 GB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes / 1e3:.1f} kB"
