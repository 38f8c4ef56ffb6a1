"""Every known bad input and fault on this list has a gallery case or a test.

The list records what grading sites have encountered. A value is a gallery case (its code is then covered
too) or a test, ``file::function`` below ``tests/``.
"""

# ruff: noqa: E501
from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from grader.gallery import CASES

TESTS = Path(__file__).resolve().parents[1]
ENGINE, QUALITY = "grader/worker/engine/test_server.py", "grader/worker/measure/test_accuracy.py"
SPEED, RUN, SITE = (
    "grader/worker/measure/test_speed.py",
    "grader/worker/test_run.py",
    "grader/worker/test_site.py",
)
KILLED, FULL = "faults/test_killed_worker.py", "faults/test_full_disk.py"
RESTLESS = "faults/test_restless.py"

# Inputs: title -> (code, gallery cases)
ARCHIVES = {
    "empty file": ("UPLOAD_EMPTY", "upload-empty"),
    "not an archive": ("ARCHIVE_FORMAT", "not-an-archive-html not-an-archive-pdf not-an-archive-elf"),
    "truncated": ("ARCHIVE_CORRUPT", "zip-cut-1-percent zip-without-end tar-cut tar-gz-cut"),
    "checksum of a member": ("ARCHIVE_CORRUPT", "zip-flipped-byte tar-gz-flipped-byte"),
    "path traversal": ("ARCHIVE_PATH", "zip-name-../../evil zip-name-a/../../b tar-name-traversal"),
    "absolute or drive path": ("ARCHIVE_PATH", "zip-name-/etc/x zip-name-C:\\\\x tar-name-absolute"),
    "strange names": ("ARCHIVE_PATH", "zip-name-a\\x00b.json zip-name-a\\u202eb zip-name-not-utf8"),
    "symlinks": ("ARCHIVE_LINK", "zip-symlink zip-symlink-inside tar-symlink tar-symlink-inside"),
    "hard link": ("ARCHIVE_LINK", "tar-hardlink"),
    "special files": ("ARCHIVE_SPECIAL_FILE", "tar-fifo tar-char tar-block zip-fifo"),
    "escape by a chain of links": ("ARCHIVE_LINK", "tar-symlink-chain"),
    "bomb by ratio": ("ARCHIVE_RATIO", "zip-bomb-ratio tar-gz-bomb-ratio"),
    "bomb by overlap": ("ARCHIVE_OVERLAP", "zip-bomb-overlap zip-bomb-quoted-overlap"),
    "archive in an archive": ("LAYOUT_MISSING_CONFIG", "zip-in-zip"),
    "names that collide": ("ARCHIVE_DUPLICATE", "duplicate-same duplicate-case duplicate-unicode-form"),
    "very many entries": ("ARCHIVE_TOO_MANY_FILES", "zip-100000-entries tar-5000-entries"),
    "encrypted, unknown, in volumes": ("ARCHIVE_UNSUPPORTED", "zip-encrypted zip-unknown-method zip-several-volumes"),
    "two tables of contents": ("ARCHIVE_CORRUPT", "zip-local-name-differs zip-local-size-differs"),
    "sparse entry of 10 TB": ("ARCHIVE_TOO_LARGE", "tar-sparse-10-tb"),
    "two models": ("LAYOUT_AMBIGUOUS", "two-models"),
}  # fmt: skip
LAYOUTS = {
    "no config": ("LAYOUT_MISSING_CONFIG", "no-config"),
    "no weights": ("LAYOUT_NO_WEIGHTS", "no-weights"),
    "pickle beside the weights": ("LAYOUT_FORBIDDEN_FILE", "pickle-beside-weights"),
    "other weights only": ("LAYOUT_FORBIDDEN_FILE", "only-pytorch_model.bin only-model.pt only-model.gguf"),
    "pickle by the name of weights": ("ST_HEADER", "pickle-named-safetensors"),
    "code": ("LAYOUT_FORBIDDEN_FILE", "python-file code-kernel.so code-site.pth"),
    "mistral's format": ("LAYOUT_FORBIDDEN_FILE", "mistral-format consolidated-weights"),
    "adapter": ("LAYOUT_FORBIDDEN_FILE", "lora-config lora-weights"),
    "git-lfs pointer": ("ST_LFS_POINTER", "weights-lfs-pointer"),
}  # fmt: skip
CONFIGS = {
    "broken JSON": ("JSON_SYNTAX", "json-broken json-bom json-trailing-text json-list"),
    "key twice": ("JSON_DUPLICATE_KEY", "json-duplicate-key json-duplicate-nested"),
    "numbers that are none": ("JSON_NUMBER", "json-number-NaN json-number-Infinity json-number-1e999"),
    "depth": ("JSON_TOO_DEEP", "json-depth-200000 json-depth-40"),
    "size": ("JSON_TOO_LARGE", "json-3-mb json-40-mb"),
    "remote code": ("CONFIG_REMOTE_CODE", "auto-map auto-map-nested"),
    "code by other keys": ("CONFIG_FORBIDDEN_KEY", "forbidden-trust_remote_code forbidden-_attn_implementation_internal"),
    "another model served": ("CONFIG_FORBIDDEN_KEY", "forbidden-speculators_config"),
    "another architecture": ("CONFIG_ARCHITECTURE", "architecture-other model-type-speculators"),
    "sizes out of range": ("CONFIG_RANGE", "bomb-num_hidden_layers bomb-hidden_size bomb-max_position_embeddings"),
    "wrong types": ("CONFIG_TYPE", 'type-hidden-"64" type-hidden-64.0 type-hidden-true type-hidden--1'),
    "heads that do not fit": ("CONFIG_INCONSISTENT", "heads-3-kv-1 heads-1-kv-2"),
    "stop tokens in the config": ("CONFIG_IGNORED", "eos-list"),
}  # fmt: skip
WEIGHTS = {
    "header length": ("ST_HEADER", "header-length-0 header-length-2-63 header-length-beyond header-length-100-mb"),
    "offsets": ("ST_OFFSETS", "overlap hole reversed-offsets trailing-bytes"),
    "tensor information": ("ST_TENSOR_INFO", "tensor-shape-too-small tensor-shape-overflow tensor-dtype-unknown"),
    "tensor twice": ("ST_DUPLICATE_TENSOR", "tensor-twice"),
    "tensor names": ("ST_TENSOR_NAME", "tensor-name-a\\u0000b tensor-name- tensor-name-nnnnnnnnnnnn"),
    "very many tensors": ("ST_TOO_MANY_TENSORS", "tensors-110000 header-20-mb"),
    "NaN, infinity": ("WEIGHTS_NONFINITE", "nan infinity"),
    "zeros": ("WEIGHTS_ZERO", "all-zero"),
    "missing": ("WEIGHTS_MISSING", "missing-layer missing-tensor quant-declared-not-done"),
    "layers that kept their numbers": ("WEIGHTS_LAYER_NUMBERS", "layers-with-a-gap"),
    "layer twice": ("WEIGHTS_UNEXPECTED", "layer-twice"),
    "hidden payload": ("WEIGHTS_UNEXPECTED", "hidden-payload"),
    "shape": ("WEIGHTS_SHAPE", "transposed"),
    "tensor in two shards": ("INDEX_DUPLICATE_TENSOR", "tensor-in-two-shards"),
    "index leads outside": ("INDEX_PATH", "index-path-up index-path-absolute index-path-folder"),
    "index names no file": ("INDEX_MISSING_FILE", "index-missing-file"),
    "index disagrees": ("INDEX_MISMATCH", "index-wrong-shard shard-not-in-index"),
    "unknown quantisation": ("QUANT_UNSUPPORTED", "quant-method-unknown"),
    "quantisation out of range": ("QUANT_RANGE", "quant-bits-0"),
    "group size": ("QUANT_GROUP_SIZE", "quant-group-size-3"),
    "KV cache": ("QUANT_KV_NOT_ALLOWED", "quant-kv-cache-fp8"),
    "scales missing": ("WEIGHTS_MISSING", "quant-w8a8-without-scale quant-fp8-without-scale"),
    "pattern that never ends": ("QUANT_PATTERN", "quant-regex-bomb"),
}  # fmt: skip
ORGANISERS = {
    "answers in the tokenizer": ("TOKENIZER_DIFFERS", "tokenizer-answers-put-into-prompt"),
    "tokenizer rewrites": ("TOKENIZER_DIFFERS", "tokenizer-output-rewritten tokenizer-tokens-around-prompt tokenizer-giant-token"),
    "tokenizer that never ends": ("TOKENIZER_DIFFERS", "tokenizer-regex-that-never-ends tokenizer-one-character-becomes-10-million tokenizer-id-2-31 tokenizer-of-8-mb"),
    "answers in the template": ("TEMPLATE_DIFFERS", "template-answer-table template-examples-added template-question-dropped"),
    "template that never ends": ("TEMPLATE_DIFFERS", "template-loops-for-ever template-gigabyte template-runs-code"),
    "generation config": ("GENCONF_IGNORED", "generation-early-stops generation-penalty generation-one-token"),
}  # fmt: skip

# Faults while an engine runs and around it: title -> tests
RUNNING = {
    "LOAD_OOM: too big for the GPU": [f"{ENGINE}::test_out_of_memory_is_the_teams_only_with_a_larger_model"],
    "garbage is graded": [f"{RUN}::test_a_whole_attempt"],
    "endless output is cut": [f"{QUALITY}::test_a_long_text_is_cut"],
    "no gain by stopping early": [f"{SPEED}::test_a_false_token_count_voids_every_round"],
    "RUN_NONFINITE at the start": [f"{ENGINE}::test_nan_is_found_before_any_benchmark"],
    "RUN_NONFINITE later": [f"{QUALITY}::test_a_candidate_that_computes_nan_in_the_middle"],
    "RUN_TIMEOUT, no process left": [f"{QUALITY}::test_a_candidate_that_takes_for_ever"],
    "flood of log": [f"{ENGINE}::test_a_flood_of_log_neither_blocks_nor_fills_memory",
                     "grader/worker/engine/test_log.py::test_a_flood_keeps_its_end_and_little_memory"],
}  # fmt: skip
FAULTS = {
    "F1 worker's child killed": [f"{RUN}::test_kill_9_of_the_grading_process_leaves_no_engine"],
    "F2 worker killed, leftovers": [f"{KILLED}::test_killed_worker_is_replaced_and_the_submission_graded_once",
                                    f"{RUN}::test_leftovers_of_a_killed_worker_are_removed"],
    "F3 engine killed": [f"{KILLED}::test_engine_that_dies_is_our_fault_and_tried_again"],
    "F4 engine dies on two workers": ["leaderboard/workers/test_registry.py"],
    "F5 worker cut off": [f"{SITE}::test_a_site_that_is_away_for_longer_cancels"],
    "F6 worker frozen": [f"{KILLED}::test_frozen_worker_that_wakes_up_late_can_write_nothing"],
    "F7 broker forgets": [f"{KILLED}::test_lost_doorbell_costs_nothing_but_time",
                          f"{RESTLESS}::test_broker_that_forgets_and_database_that_hangs_up_in_the_middle_of_a_grade"],
    "F8 broker away": [f"{KILLED}::test_broker_that_is_away_costs_nothing_but_time"],
    "F9 rung many times": [f"{RESTLESS}::test_one_attempt_however_often_it_rings_and_whatever_the_clocks_say",
                           "leaderboard/lifecycle/test_lifecycle.py::test_many_workers_claiming_at_once_never_share_an_evaluation"],
    "F10 message delivered twice": [f"{RUN}::test_one_machine_grades_one_thing_at_a_time"],
    "F11 database restarts": [f"{RESTLESS}::test_broker_that_forgets_and_database_that_hangs_up_in_the_middle_of_a_grade",
                              f"{SITE}::test_claim_tries_again_with_growing_pauses",
                              "leaderboard/lifecycle/test_lifecycle.py::test_report_sent_twice_is_stored_once_and_welcome_twice"],
    "F12 site away for longer than the lease": [f"{SITE}::test_a_site_that_is_away_for_longer_cancels"],
    "F13 disk full": [f"{FULL}::test_a_disk_that_fills_while_unpacking_is_ours",
                      f"{FULL}::test_a_check_that_finds_no_room_is_tried_again_and_costs_the_team_nothing"],
    "F14 out of memory that must fit": [f"{ENGINE}::test_out_of_memory_of_a_model_that_must_fit_is_ours"],
    "F15 engine hangs": [f"{ENGINE}::test_a_hang_is_ended", f"{SPEED}::test_an_engine_that_hangs_in_a_round"],
    "F16 clocks": [f"{RESTLESS}::test_one_attempt_however_often_it_rings_and_whatever_the_clocks_say",
                   "faults/test_sweeper.py::test_clock_of_the_site_decides_nothing_about_leases"],
    "F19 no sweeper": [f"{KILLED}::test_lost_doorbell_costs_nothing_but_time"],
    "F20 worker stopped for a deploy": [f"{KILLED}::test_worker_told_to_stop_finishes_its_grade"],
    "F21 file damaged between stages": ["grader/worker/test_intake.py::test_a_file_that_changed_after_its_check_is_ours"],
    "F22 results that cannot be used": [f"{QUALITY}::test_answers_that_cannot_be_used",
                                        "leaderboard/api/test_worker.py::test_malformed_report_is_refused_and_the_attempt_counts_as_our_fault"],
}  # fmt: skip
BY_ID = {case.id: case for case in CASES}


@pytest.mark.parametrize("group", [ARCHIVES, LAYOUTS, CONFIGS, WEIGHTS, ORGANISERS])
def test_every_known_bad_input_is_in_the_gallery_with_its_code(
    group: dict[str, tuple[str, str]],
) -> None:
    for title, (code, cases) in group.items():
        for name in cases.split(" "):
            assert name in BY_ID, title
            assert code in (BY_ID[name].code, BY_ID[name].notice), title


@pytest.mark.parametrize("group", [RUNNING, FAULTS])
def test_every_known_fault_has_a_test(group: dict[str, list[str]]) -> None:
    for title, nodes in group.items():
        for node in nodes:
            file, _, function = node.partition("::")
            assert (TESTS / file).is_file(), title
            assert not function or function in functions(TESTS / file), title


@cache
def functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
