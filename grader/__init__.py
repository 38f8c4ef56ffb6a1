"""The rules of a contest and the grading of one checkpoint.

The pure modules (``contest``, ``checkpoint``, ``problems``, ``report``, ``score``, ``schema``) import the
standard library and each other, so the site, the GPU machine and the participant's CLI share one set of rules.
``grader.worker`` runs on the GPU machine.
"""
