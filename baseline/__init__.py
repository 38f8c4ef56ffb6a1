"""The participant's command line: compress, check, package and submit a model, and watch its grading."""

__version__ = "0.1.0"
