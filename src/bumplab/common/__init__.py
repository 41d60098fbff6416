"""Errors, frozen settings, files, statistics, curves, parsing: what every other package rests on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
