"""What organizers decide: rulings, freezing and revealing the board, finalizing."""
