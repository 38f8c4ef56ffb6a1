"""Grading at home with the grader's own code, and what became of earlier runs."""
