"""Sourced tables: what fits what, and which device is which. Data and pure look-ups only."""
