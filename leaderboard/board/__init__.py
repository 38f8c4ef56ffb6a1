"""The board: ranked, cached, listed, exported."""
