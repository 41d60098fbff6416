"""Settings, state, loop, ensembles, checkpoints and what a trained network can do."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
