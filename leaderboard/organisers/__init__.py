"""What organisers decide: rulings, the board's freeze and reveal, the end."""
