"""One module a command: its options, what it prints, its exit code. Only ``baseline.cli`` imports them."""
