"""Help: the guide, with pictures that move, and the core's own words about its functions."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared.address import one_of, tell_misread
from pages.shared.looks import chart, is_dark
from pages.shared.router import through_router

through_router("pages/help.py")

GUIDE = Path(__file__).parent / "guide"
TOPICS = {
    "conventions": ("Conventions", ":material/explore:"),
    "gauge": ("Gauge", ":material/help_center:"),
    "bound": ("The bound", ":material/straighten:"),
    "formats": ("Formats", ":material/description:"),
    "training": ("Your own scans", ":material/model_training:"),
    "monitor": ("Reading Monitor", ":material/monitoring:"),
    "troubleshooting": ("Troubleshooting", ":material/healing:"),
    "sharing": ("Sharing", ":material/share:"),
    "api": ("Python", ":material/code:"),
}


def which_way() -> None:
    """A letter that the visitor moves, to see which way is plus."""
    from tomoalign_core.show import teaching

    left, right = st.columns([1, 2], gap="medium")
    with left:
        dx = st.slider("dx, px", -12.0, 12.0, 9.0, 0.5, key="right", bind="query-params", help="Positive is right.")
        dy = st.slider("dy, px", -8.0, 8.0, 5.0, 0.5, key="down", bind="query-params", help="Positive is down.")
        roll = st.slider(
            "Roll, degrees", -45.0, 45.0, 15.0, 1.0, key="turned", bind="query-params",
            help="Positive turns from right towards down, clockwise on the screen.",
        )  # fmt: skip
    with right:
        figure = teaching.conventions(dx_px=dx, dy_px=dy, roll_deg=roll, dark=is_dark())
        chart(figure, key="which-way", alt="A letter F at rest and as measured, with arrows for dx, dy and roll")


def python_names() -> None:
    """The functions of the core, from their own docstrings."""
    from tomoalign_core.reference import modules, public_names, words_of

    st.markdown(
        "What the pages do, Python can do without them. The short way in is `import tomoalign_core`; "
        "these are all rooms of the house. The words are the code's own."
    )
    rooms = modules()
    name = st.selectbox(
        "Module", rooms, key="module", bind="query-params", help="`tomoalign_core` holds the short way in."
    )
    for entry in public_names(name):
        st.markdown(words_of(entry))
        st.divider()


def pick_topic() -> str:
    """The topic in the address, ``?topic=gauge``; not bound, as that would put the label's icon there."""

    def chosen() -> None:
        st.query_params["topic"] = st.session_state["topic-choice"]

    wanted = st.query_params.get("topic", "conventions")
    tell_misread("help", {"topic": one_of(list(TOPICS), "conventions")})
    st.session_state["topic-choice"] = wanted if wanted in TOPICS else "conventions"
    st.pills(
        "Topic", list(TOPICS), required=True, key="topic-choice", wrap=True, on_change=chosen,
        format_func=lambda key: f"{TOPICS[key][1]} {TOPICS[key][0]}", label_visibility="collapsed",
    )  # fmt: skip
    return st.session_state["topic-choice"]


st.title("Help", anchor=False)
topic = pick_topic()
if topic == "api":
    python_names()
else:
    st.markdown((GUIDE / f"{topic}.md").read_text(encoding="utf-8"))
    if topic == "conventions":
        which_way()
    if topic == "gauge":
        st.page_link("pages/lesson.py", label="Why it did not converge", icon=":material/school:")
