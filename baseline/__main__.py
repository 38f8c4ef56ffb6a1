"""``python -m baseline``."""

from baseline.cli import main

main()
