"""Answers drawn at random, with known chances of each class."""

import numpy as np

from tagger.drift.profile import Answers, Profile, profile_of

CLASSES = {"type": ("Shirt", "Top", "Belt"), "color": ("White", "Black")}


def answers(rng, items, types=(0.5, 0.3, 0.2), sure=8.0):
    """sure: higher values put confidences nearer to 1."""
    confidences = rng.beta(sure, 2, (2, items))
    focus = np.where(rng.random(items) < 0.1, np.nan, rng.normal(0.4, 0.2, items).clip(max=1))
    return Answers(rng.choice(3, items, p=types), rng.choice(2, items), *confidences, focus)


def profile(rng, items, **chances) -> Profile:
    return profile_of(answers(rng, items, **chances), CLASSES)
