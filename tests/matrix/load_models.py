"""Run by the grader's Python: ``load_models.py TOKENIZER FOLDER…`` has the pinned vLLM serve each folder.

One JSON line a folder: ``{"folder", "logprobs"}`` with the log-probability of every token of the vocabulary at
every position of a prompt, or ``{"folder", "error"}``.
"""

import gc
import json
import math
import os
import sys

PROMPT = [5, 17, 200, 31, 8, 9, 44, 100]
ANSWER_TOKENS = 8


def main(tokenizer: str, *folders: str) -> None:
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "HF_HUB_OFFLINE": "1",
    }
    for folder in folders:
        found: dict[str, object] = {"folder": folder}
        try:
            found["logprobs"] = ask(folder, tokenizer)
        except Exception as error:  # whatever an engine raises over a checkpoint is its verdict
            found["error"] = f"{type(error).__name__}: {error}"[:300]
        gc.collect()
        print(json.dumps(found), flush=True)


def ask(folder: str, tokenizer: str) -> list[float]:
    """Log-probabilities over the prompt, position by position, each ordered by token.

    Raises:
        RuntimeError: no whole answer, or one that is not of numbers.
    """
    from vllm import LLM, SamplingParams

    engine = LLM(
        folder,
        tokenizer=tokenizer,
        dtype="bfloat16",
        load_format="safetensors",
        config_format="hf",
        model_loader_extra_config={"enable_weights_track": True},
        enforce_eager=True,
        max_model_len=256,
        max_num_seqs=4,
        max_logprobs=-1,
        gpu_memory_utilization=0.1,
        disable_log_stats=True,
    )
    asked = SamplingParams(
        temperature=0.0, max_tokens=ANSWER_TOKENS, ignore_eos=True, prompt_logprobs=-1
    )
    (answer,) = engine.generate({"prompt_token_ids": PROMPT}, asked, use_tqdm=False)
    if (count := len(answer.outputs[0].token_ids)) != ANSWER_TOKENS:
        raise RuntimeError(f"{count} tokens answered instead of {ANSWER_TOKENS}")
    found = [
        position[token].logprob
        for position in answer.prompt_logprobs[1:]
        for token in sorted(position)
    ]
    if not all(map(math.isfinite, found)):
        raise RuntimeError("log-probabilities that are no numbers")
    return [round(value, 4) for value in found]


if __name__ == "__main__":
    main(*sys.argv[1:])
