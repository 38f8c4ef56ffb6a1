"""What a command prints: tables, progress, pictures, errors."""
