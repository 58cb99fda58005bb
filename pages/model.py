"""Model: choose a network, and see what it is made of, what it takes and how far it sees."""

from __future__ import annotations

import streamlit as st

from pages.shared.address import Address, one_of, tell_misread
from pages.shared.looks import STACKED
from pages.shared.model_form import NETWORKS, choose_network, words_of
from pages.shared.network_view import (
    SHARES,
    described,
    figures_of,
    flow,
    how_they_relate,
    inside,
    layers,
    shares,
    sight,
    verdict,
)
from pages.shared.router import through_router
from tomoalign_core.config import InputError

through_router("pages/model.py")

st.title("Model", anchor=False)
st.html(STACKED)
tell_misread("model", {"network": one_of(NETWORKS, NETWORKS[0]), "by": one_of(SHARES, SHARES[0])})
address = Address("model")
try:
    share = address.choice("by", SHARES, SHARES[0])
    choice = choose_network(address)
    address.write()
    found = described(choice.config.model_dump_json(), choice.shape, choice.train.to_json(indent=None))
    figures_of(found, choice)
    with st.container(horizontal=True, vertical_alignment="center"):
        memory = verdict(choice, found.sizes)
        st.page_link(
            "pages/train.py", label="Train it" if choice.weights is None else "Train one like it",
            icon=":material/model_training:", query_params=choice.query(), width="content",
        )  # fmt: skip
    how_they_relate(found.sizes, memory)
    if choice.weights is not None:
        st.subheader("Inside the weights", anchor=False)
        inside(choice.weights)
    st.subheader("How it works", anchor=False)
    flow(choice, found.table)
    st.subheader("Layers", anchor=False, help=f"At work on stacks of {words_of(choice.shape)}.")
    layers(found, choice)
    st.subheader("Where it all goes", anchor=False)
    shares(found, share)
    st.subheader("How far it sees", anchor=False, help="The receptive field of each part, the ones before it included.")
    sight(choice)
except InputError as error:
    st.error(str(error), icon=":material/error:")
