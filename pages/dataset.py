"""Data set."""

from __future__ import annotations

import streamlit as st

from pages.shared.router import through_router

through_router("pages/dataset.py")

st.title("Data set", anchor=False)
