"""The participant's command line: compress a model, check it, package it, submit it, watch the grading."""

__version__ = "0.1.0"
