"""Architectures × schemes: compares what ``check`` says about a checkpoint with what the real engine does.

    make matrix                       all of them
    make matrix MATRIX="qwen3 phi3"   some
    make matrix MATRIX=--fresh        all of them, from the start

The models are tiny and random, created by transformers from a config; nothing is downloaded. Each is the base
model of its own contest, is compressed by ``baseline compress``, checked, rebuilt as a worker does, and served
by the pinned vLLM in a separate process. If ``check`` refuses, the engine gets the folder as submitted. An
answer counts only if it is close to the base model's, so weights read in the wrong order do not pass.

Finished rows are kept below ``var/matrix``: an interrupted run continues, until code, recipes or pins change.
"""
