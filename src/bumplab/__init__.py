"""How diffusion models learn to factorize and compose: the package behind the executable book."""

import os
from pathlib import Path

# Once UMAP has run, numba's OpenMP threads spin beside those of PyTorch and slow them, on two busy cores nine times.
# Its own pool of threads does not.
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")

__version__ = "0.1.0"


def book_folder() -> Path:
    """Return the folder of the book: inside an installed package, or beside ``src`` in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "book" if (here / "book").is_dir() else here.parents[1] / "book"
