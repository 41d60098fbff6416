"""Figures of the book: one visual language, still and interactive."""
