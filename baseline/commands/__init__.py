"""One module per command: its options, output and exit code. Only ``baseline.cli`` imports them."""
