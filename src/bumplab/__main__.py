"""``python -m bumplab``: the command line of :mod:`bumplab.cli`."""

from bumplab.cli.app import run

if __name__ == "__main__":
    run()
