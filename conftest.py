"""Wherever pytest starts, chapters are compared by their numbers, and what takes minutes goes first."""

pytest_plugins = ["nbval_numbers", "long_first"]
