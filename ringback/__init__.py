"""Ringback: a telephone exchange for the browser, with robots on the line."""

__version__ = "0.1.0"
