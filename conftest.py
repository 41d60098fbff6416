"""Wherever pytest starts, chapters that nbval runs are compared by their numbers: see tests/nbval_numbers.py."""

pytest_plugins = ["nbval_numbers"]
