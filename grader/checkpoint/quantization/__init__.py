"""What a checkpoint says about its quantization, and whether the engine can run it."""
