"""Files: finished archives on disk or S3, and staged uploads."""
