"""Run by the grader's Python: ``load_models.py TOKENIZER FOLDER…`` has the pinned vLLM serve each folder.

Prints one JSON line per folder: ``{"folder", "answer"}`` with the ids of a greedy answer, or ``{"folder",
"error"}``.
"""

import gc
import json
import os
import sys

PROMPT = [5, 17, 200, 31, 8, 9, 44, 100]


def main(tokenizer: str, *folders: str) -> None:
    os.environ |= {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "HF_HUB_OFFLINE": "1",
    }
    from vllm import LLM, SamplingParams

    for folder in folders:
        found = {"folder": folder}
        try:
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
                gpu_memory_utilization=0.1,
                disable_log_stats=True,
            )
            asked = SamplingParams(temperature=0.0, max_tokens=8, ignore_eos=True)
            (answer,) = engine.generate({"prompt_token_ids": PROMPT}, asked, use_tqdm=False)
            found["answer"] = list(answer.outputs[0].token_ids)
            del engine
        except Exception as error:  # any exception an engine raises for a checkpoint is its verdict
            found["error"] = f"{type(error).__name__}: {error}"[:300]
        gc.collect()
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
