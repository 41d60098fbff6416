"""Noise schedules, the forward process, what a network predicts, and the sampler."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
