"""How diffusion models learn to factorize and compose: the package behind the executable book."""

from pathlib import Path

__version__ = "0.1.0"


def book_folder() -> Path:
    """Return the folder of the book: inside an installed package, or beside ``src`` in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "book" if (here / "book").is_dir() else here.parents[1] / "book"
