"""What a command prints: tables, progress, plots, errors."""
