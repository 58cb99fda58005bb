"""What is shown of a network: its flow, sizes, layers, receptive fields and learned filters."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st
from pydantic import TypeAdapter

from pages.shared.looks import chart, is_dark
from pages.shared.model_form import Choice, words_of
from pages.shared.scans import preview
from tomoalign_core.config import ModelConfig, ScanConfig, SimulationConfig, TrainConfig
from tomoalign_core.learn.runs import list_runs
from tomoalign_core.show import diagrams, networks

if TYPE_CHECKING:
    from tomoalign_core.learn.describe import LayerTable, Memory, Reach, Sizes

WORDS = {
    "centroid": (
        "A convolution moves with its input: where a projection shifts, its feature maps shift with it, and so does "
        "the **centroid** of each map, to a fraction of a pixel. Over the angles the centroid of anything rigid "
        "follows c + a·cos θ + b·sin θ sideways and stands still up and down. What is left over *is* the movement of "
        "the stage. Beside the {maps} maps that it learns it follows {fixed} fixed ones: the view itself, blurred and "
        "cut at a level above its noise. From the second pass on, the corrected views are also matched with the views "
        "before and after them and with "
        "their reprojection from all others, and a small head weighs all estimates and says how sure it is. The angle "
        "axis is never pooled and no layer knows a size: one set of weights takes any views, any detector, any angles."
    ),
    "cnn3d": (
        "The network of the notebook this project began with, kept as the baseline that teaches. Two things hurt it. "
        "It **pools the angle axis**: five poolings leave {few} of {views} views, from which it must tell what each "
        "view did by itself. And it **flattens**: from there on each number stands for a place in the frame, nothing "
        "moves with the input any more, and what a shift looks like is learned anew for every place, for one size of "
        "scan only."
    ),
}
SHARES = ACTIVATIONS, PARAMETERS, WORK = "Activations", "Parameters", "Multiply-adds"
LARGEST_PX = 400  # of the sample projection: a larger one is binned


class Description(NamedTuple):
    """What is found about a network, whatever the machine."""

    table: LayerTable
    sizes: Sizes
    inference_bytes: int
    binned: int


@st.cache_data(max_entries=32, show_spinner="Sizing the network …")
def described(config_json: str, shape: tuple[int, int, int], train_json: str) -> Description:
    """Layers and sizes of a network at work on stacks (N, V, U)."""
    from tomoalign_core.align.predict import binning
    from tomoalign_core.learn.describe import inference_bytes, layer_table, training_sizes

    config: ModelConfig = TypeAdapter(ModelConfig).validate_json(config_json)
    train = TrainConfig.from_json(train_json)
    binned = binning(*shape) if config.name == "centroid" else 1
    n, rows, cols = shape
    return Description(
        table=layer_table(config, shape),
        sizes=training_sizes(config, shape, train),
        inference_bytes=inference_bytes(config, (n, rows // binned, cols // binned)),
        binned=binned,
    )


@st.cache_data(max_entries=4, show_spinner="Measuring how far it sees …")
def reaches_of(config_json: str) -> tuple[Reach, ...]:
    """The receptive fields of a network."""
    from tomoalign_core.learn.describe import reaches

    return reaches(TypeAdapter(ModelConfig).validate_json(config_json))


def verdict(choice: Choice, sizes: Sizes) -> Memory:
    """Say whether a training fits into this machine, and what to do where it does not."""
    from tomoalign_core.learn.describe import memory_for

    memory = memory_for(choice.config, choice.shape, choice.train, sizes=sizes)
    if memory.fits:
        st.success(memory.words(), icon=":material/check_circle:")
    else:
        st.warning(memory.words(), icon=":material/warning:")
    return memory


def figures_of(found: Description, choice: Choice) -> None:
    """The row of figures."""
    from tomoalign_core.learn.describe import in_bytes

    table, sizes = found.table, found.sizes
    stacks = f"a batch of {choice.batch}" if choice.batch > 1 else "one stack"
    size = f" after binning by {found.binned}, as it does for stacks this large" if found.binned > 1 else ""
    with st.container(horizontal=True):
        st.metric("Parameters", f"{table.parameters:,}", border=True, help="Numbers that are learned.")
        st.metric(
            "Weights", in_bytes(sizes.weights), border=True,
            help=f"As float32. Training holds as much again in gradients, and {in_bytes(sizes.optimizer)} in AdamW.",
        )  # fmt: skip
        st.metric(
            "Activations", in_bytes(sizes.activations_total), border=True,
            help=f"What the forward pass on {stacks} keeps for the backward pass.",
        )  # fmt: skip
        st.metric(
            "Training step", in_bytes(sizes.peak), border=True,
            help=f"All that is held at its fullest moment: weights, AdamW, {stacks}, activations, gradients. The "
            "verdict below adds a fifth for what libraries work on, and 0.6 GB for the process.",
        )  # fmt: skip
        st.metric(
            "Finding shifts", in_bytes(found.inference_bytes), border=True,
            help=f"At its fullest moment, of one such stack{size}.",
        )  # fmt: skip
        st.metric(
            "Multiply-adds", counted(table.multiply_adds), border=True,
            help="Of the layers, to find the shifts of one stack, over all passes.",
        )  # fmt: skip


def how_they_relate(sizes: Sizes, memory: Memory) -> None:
    """What the three figures of memory have to do with each other."""
    from tomoalign_core.learn.describe import in_bytes

    st.caption(
        f"How these figures belong together: a **training step** holds {in_bytes(sizes.peak)} at its fullest moment. "
        f"{in_bytes(sizes.activations_total)} of that are **activations**, which grow with the batch and the scan; the "
        "rest are weights, gradients, AdamW, the batch and what is being worked on. A fifth more for libraries and "
        f"0.6 GB for the process make the **{in_bytes(memory.training_bytes)}** of the verdict, to be set against the "
        f"{in_bytes(memory.available_bytes)} that {memory.device} has free now."
    )


def counted(number: float) -> str:
    """A large number in words.

    >>> counted(2.689e9), counted(111.6e9), counted(1.2e12), counted(4e5)
    ('2.7 billion', '112 billion', '1.2 trillion', '400,000')
    """
    for word, size in (("trillion", 1e12), ("billion", 1e9), ("million", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {word}" if number >= 100 * size else f"{number / size:.2g} {word}"
    return f"{number:,.0f}"


def flow(choice: Choice, table: LayerTable) -> None:
    """What the network does, in a drawing and in words."""
    config = choice.config
    if config.name == "centroid":
        from tomoalign_core.learn.models.scene import SUPPORTS

        wide, tall = (
            diagrams.centroid(
                channels=config.channels,
                maps=config.maps,
                fixed_maps=len(SUPPORTS),
                profiles=config.profiles,
                passes=config.passes,
                tall=tall,
                dark=is_dark(),
            )
            for tall in (False, True)
        )
        title, words = diagrams.CENTROID_TITLE, WORDS["centroid"].format(maps=config.maps, fixed=len(SUPPORTS))
    else:
        last = {row.part: row.output_shape for row in table.rows}  # the last layer of each group
        shapes = [table.input_shape[1:], *(shape[1:] for part, shape in last.items() if part.startswith("group"))]
        flat = next(row.output_shape[1] for row in table.rows if row.kind == "Flatten")
        out = table.output_shape[1]
        wide, tall = (diagrams.cnn3d(shapes, flat, out, tall=tall, dark=is_dark()) for tall in (False, True))
        title = diagrams.CNN3D_TITLE
        words = WORDS["cnn3d"].format(few=shapes[-1][1], views=choice.shape[0])
    images = (_image(drawing, title, name) for name, drawing in (("wide", wide), ("tall", tall)))
    st.html(DRAWING + "".join(images))
    st.markdown(words)


# of the two drawings the one that fits the page is shown
DRAWING = """<style>.drawing { width: 100%; max-width: 1200px; } .drawing.tall { display: none; }
@media (max-width: 1100px) { .drawing.wide { display: none; } .drawing.tall { display: block; } }</style>"""


def _image(drawing: str, title: str, name: str) -> str:
    data = base64.b64encode(drawing.encode()).decode()
    return f'<img class="drawing {name}" alt="{title}" src="data:image/svg+xml;base64,{data}">'


def layers(found: Description, choice: Choice) -> None:
    """The table of layers, and torchinfo's own."""
    table = found.table
    rows = [
        {
            "part": row.part,
            "layer": row.name,
            "kind": row.kind,
            "kernel": " × ".join(map(str, row.kernel)) if row.kernel else "",
            "output shape": " × ".join(map(str, row.output_shape)),
            "parameters": row.parameters,
            "multiply-adds": row.multiply_adds,
            "calls": row.calls,
        }
        for row in table.rows
    ]
    whole = {
        name: st.column_config.NumberColumn(format="localized", help=about)
        for name, about in (
            ("parameters", "Numbers that are learned."),
            ("multiply-adds", "Over all calls, for one stack."),
            ("calls", "How often the layer works on a stack: once or twice a pass."),
        )
    }
    shape = st.column_config.TextColumn(help="Batch × channels × views × rows × columns, as far as it has them.")
    st.dataframe(rows, hide_index=True, height=360, column_config={**whole, "output shape": shape})
    if choice.config.name == "centroid":
        n, v, u = choice.shape
        passes = choice.config.passes - 1
        pixels = counted(passes * n * n * (v // 2) * (u // 2))
        st.caption(
            f"The arithmetic between the layers learns nothing and is in no table: each view is matched with its "
            f"reprojection from all others, which reads {pixels} pixels over {passes} passes."
        )
    with st.expander("torchinfo's own table", icon=":material/table:"):
        st.download_button(
            "Table (text)", table.text, f"{choice.config.name}.txt", icon=":material/download:", on_click="ignore"
        )
        st.code(table.text, language=None)


def shares(found: Description, key: str) -> None:
    """Where the bytes, the weights and the work are; ``key`` is that of the widget that chooses."""
    from tomoalign_core.learn.describe import in_bytes

    what = st.segmented_control(
        "By part", SHARES, required=True, key=key,
        help="Activations: bytes kept for the backward pass of a training step.",
    )  # fmt: skip
    if what == ACTIVATIONS:
        sizes = found.sizes.activations
        unit, factor = ("GB", 1e9) if max(sizes.values()) >= 1e10 else ("MB", 1e6)
        values = {name: size / factor for name, size in sizes.items()}
        words, axis = [in_bytes(size) for size in sizes.values()], f"activations, {unit}"
    else:
        field, axis = (
            ("parameters", "parameters") if what == PARAMETERS else ("multiply_adds", "multiply-adds of one stack")
        )
        values = dict.fromkeys(found.sizes.activations, 0)
        for row in found.table.rows:
            values[row.part] += getattr(row, field)
        words = [f"{value:,}" if what == PARAMETERS else counted(value) for value in values.values()]
    told = ", ".join(f"{name} {word}" for name, word in zip(values, words, strict=True))
    chart(networks.bars(values, words, axis=axis, dark=is_dark()), key="shares", alt=f"{axis} by part: {told}")


def sight(choice: Choice) -> None:
    """The receptive fields, in numbers and to scale."""
    found = reaches_of(choice.config.model_dump_json())
    _, rows, cols = choice.shape
    px = -(-max(rows, cols) // LARGEST_PX)
    scan = ScanConfig(n_views=3, n_rows=max(rows // px, 8), n_cols=max(cols // px, 8))
    view = preview(SimulationConfig(scan=scan, seed=7).to_json(indent=None)).aligned[0]
    left, right = st.columns([3, 2], gap="medium")
    extents = {reach.part: (reach.rows, reach.cols) for reach in found}
    with left:
        figure = networks.reach_on(view, extents, px=px, dark=is_dark())
        chart(figure, key="reach", alt="Receptive fields of the parts drawn to scale on a simulated projection")
    with right:
        table = [
            {"part": r.part, "views": _all(r.views), "rows, px": _all(r.rows), "columns, px": _all(r.cols)}
            for r in found
        ]
        st.dataframe(table, hide_index=True)
        st.caption("Measured: the inputs on which one output depends. " + SIGHT[choice.config.name])


SIGHT = {
    "centroid": (
        "The filters are small and each looks at one view, so features are local and move with the content. What sees "
        "more, and what compares views, is the arithmetic after them, which learns nothing of places."
    ),
    "cnn3d": (
        "It mixes views from its first layer on: one output of group 6 sees a block of over two hundred views, rows "
        "and columns, and the linear layers everything."
    ),
}


def _all(number: int | None) -> str:
    return "all" if number is None else str(number)


def inside(weights: str) -> None:
    """What stands in a file of weights."""
    from tomoalign_core.learn.describe import in_bytes
    from tomoalign_core.learn.weights import look_into

    file = look_into(weights)
    run = file.about.get("run", "")
    facts = {
        "file": f"`{file.path.name}`, {in_bytes(file.size_bytes)}",
        "learned on": f"stacks of up to {words_of(file.shape)}",
        "epoch": file.about.get("epoch", "not told"),
        "key of the settings": f"`{file.about.get('key', 'not told')}`",
        "run": f"`{run}`" if run else "not told",
        "settings": ", ".join(f"{k} {v}" for k, v in file.config.model_dump().items() if k != "name"),
    }
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.markdown("\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]))
        if run in {other.id for other in list_runs()}:
            st.page_link("pages/monitor.py", label="Watch its run", icon=":material/monitoring:",
                         query_params={"run": run})  # fmt: skip
    with right:
        figure = networks.filters(file.first, dark=is_dark())
        chart(figure, key="filters", alt=f"The {len(file.first)} filters of the first layer as coloured squares")
        count, views, rows, cols = file.first.shape
        beside = f", the {views} views of each side by side" if views > 1 else ""
        st.caption(
            f"The {count} filters of the first layer, {rows} × {cols} px{beside}: what it looks for. Blue and orange "
            "side by side is an edge, a ring is a blob, one colour a blur."
        )
