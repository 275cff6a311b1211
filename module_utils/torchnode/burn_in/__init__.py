"""Burn-in: every device at once, every bit checked, each worker's death an outcome.

``plan`` sizes the work (pure), ``child`` is what runs under the venv's Python (the only importer of
torch), ``process`` and ``runner`` start and bound it, ``telemetry`` digests samples (pure) and
``judge`` turns what was seen into outcomes (pure).
"""
