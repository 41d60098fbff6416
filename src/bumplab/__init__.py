"""How diffusion models learn to factorize and compose: the package behind the executable book."""

import os

import lazy_loader

# Once UMAP has run, numba's OpenMP threads spin beside those of PyTorch and slow them, on two busy cores nine times.
# Its own pool of threads does not.
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
