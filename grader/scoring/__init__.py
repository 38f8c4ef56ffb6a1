"""From a report to a score with its interval, a rank and a tie."""
