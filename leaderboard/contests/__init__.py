"""Loading a contest file; its phases, schedule and texts."""
