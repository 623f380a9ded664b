"""Convolutions of any dimensions, their transposes, and the windows that they slide over."""
