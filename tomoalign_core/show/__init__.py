"""Showing: Plotly figures from plain arrays. Knows nothing of runs, networks or pages."""
