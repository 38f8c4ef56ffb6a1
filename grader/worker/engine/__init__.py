"""One vLLM server: its flags, its process, its log, and requests to it within bounds."""
