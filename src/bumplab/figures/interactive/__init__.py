"""Figures that a reader turns, plays or fills in the browser, each with a still for paper and without JavaScript."""
