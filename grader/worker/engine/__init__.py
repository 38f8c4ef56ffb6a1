"""One vLLM server: its flags, its process, its log, and bounded requests to it."""
