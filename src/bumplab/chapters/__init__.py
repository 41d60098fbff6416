"""Chapters as programs with checked parameters, their claims and the scoreboard."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
