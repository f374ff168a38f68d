"""Hypothesis for the domain's tests: no deadline, because a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
