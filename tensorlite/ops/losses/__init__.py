"""Losses, by what they compare: classes, numbers, margins, probabilities, sequences."""
