"""What a network draws and what its layers say: detection, accuracy, activations, geometry, factorization, topology."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
