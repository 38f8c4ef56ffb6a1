"""Architectures × schemes: compares what ``check`` says about a checkpoint with what the real engine does.

    make matrix                       all of them
    make matrix MATRIX="qwen3 phi3"   some

The models are tiny and random, created by transformers from a config; nothing is downloaded. Each is the base
model of its own contest, is compressed by ``baseline compress``, checked, rebuilt as a worker does, and loaded
by the pinned vLLM in a separate process. If ``check`` refuses, the engine gets the folder as submitted.
"""
