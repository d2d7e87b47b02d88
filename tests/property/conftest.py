"""Hypothesis on shared machines: no deadline per example; sizes are bounded in the strategies instead."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
