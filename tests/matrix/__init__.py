"""Architectures × schemes: what ``check`` says of a checkpoint beside what the real engine does with it.

    make matrix                       all of them
    make matrix MATRIX="qwen3 phi3"   some

Tiny random models made by transformers from a config, nothing is downloaded. Each is its own contest's base
model, is compressed by ``baseline compress``, checked, rebuilt as a worker does it, and loaded by the pinned
vLLM in its own process. Where ``check`` refuses, the engine gets the folder as it was submitted.
"""
