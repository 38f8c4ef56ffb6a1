"""What every feature stands on and none may bend."""
