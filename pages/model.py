"""Model."""

from __future__ import annotations

import streamlit as st

from pages.shared.router import through_router

through_router("pages/model.py")

st.title("Model", anchor=False)
