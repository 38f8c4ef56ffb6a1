"""Local grading with the grader's own code, and the history of earlier runs."""
