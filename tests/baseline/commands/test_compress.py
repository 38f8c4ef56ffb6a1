"""The recipes on the demo's model with the real llmcompressor, in its own environment."""

from __future__ import annotations

import json
import shutil
import signal
import struct
import subprocess

import pytest

from baseline.compression import recipe
from baseline.compression.smooth import EXACT_FOR
from grader.checkpoint import read_header
from tests import hub_server
from tests.baseline.conftest import HERE, ROOT, compress_command
from tests.baseline.terminal import in_terminal
from tests.matrix.configs import CONFIGS

pytestmark = pytest.mark.compress

# Largest relative error of the logits. Pruning does not approximate the model.
ERROR = {"prune": 1.0, "w8a8": 0.1, "fp8": 0.15, "w4a16": 0.5}
LAYERS = 4


@pytest.fixture
def compress(compress_python, demo, tmp_path):
    """One command line in a separate process."""

    def call(name, *options, output=None):
        output = output or tmp_path / "out"
        command = compress_command(name, demo, output, *options)
        done = compress_python("-m", "baseline", *command, check=False)
        return done, json.loads(done.stdout), output

    return call


@pytest.fixture(scope="session")
def probed(compressed, compress_python, demo):
    """Load every checkpoint with transformers and compare it with the base model."""
    folders = [found.folder for found in compressed.values()]
    lines = compress_python(HERE / "probe.py", demo.base_folder, *folders).stdout.splitlines()
    answers = [json.loads(line) for line in lines if line.startswith("{")]
    return dict(zip(compressed, answers, strict=True))


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_passes_the_graders_checks(name, compressed, run):
    code, out, _ = run("check", compressed[name].folder, "-c", "demo", "--json")
    document = json.loads(out)
    assert (code, document["problems"]) == (0, [])
    # the records next to the weights are recognized and ignored
    assert [notice["code"] for notice in document["notices"]][:1] == ["LAYOUT_IGNORED_FILE"]


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_records_what_it_did(name, compressed):
    found = compressed[name]
    assert "Traceback" not in found.err and "it/s" not in found.err
    record = json.loads((found.folder / "compression.json").read_text())
    assert record["safetensors_bytes"] == (found.folder / "model.safetensors").stat().st_size
    assert record["recipe"]["name"] == name == recipe.load(str(found.folder / "recipe.yaml")).name
    assert record["versions"]["llmcompressor"] == found.document["versions"]["llmcompressor"]
    assert bool(record["data"]) == recipe.load(name).needs_data
    if record["data"]:
        assert (len(record["data"]["sha256"]), record["data"]["samples"]) == (64, 8)


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_changes_only_what_it_must_in_the_config(name, compressed, demo):
    config = json.loads((compressed[name].folder / "config.json").read_text())
    base = json.loads((demo.base_folder / "config.json").read_text())
    pruned = name.startswith("prune")
    layers = LAYERS - pruned
    assert (config["num_hidden_layers"], len(config["layer_types"])) == (layers, layers)
    changed = {key for key in config.keys() | base.keys() if config.get(key) != base.get(key)}
    expected = {"quantization_config"}
    assert changed == expected | ({"num_hidden_layers", "layer_types"} if pruned else set())
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"


@pytest.mark.parametrize("name", recipe.names())
def test_the_tied_embedding_is_saved_once_and_as_it_was(name, compressed, demo, probed):
    saved = embedding(compressed[name].folder / "model.safetensors")
    assert saved == embedding(demo.base_folder / "model.safetensors")
    names = [tensor.name for tensor in read_header(compressed[name].folder / "model.safetensors")]
    assert not [n for n in names if n.startswith("lm_head.")]
    assert probed[name]["tied"]


def embedding(path):
    """The bytes of the embedding as stored in the file: after the header, one tensor after the other."""
    tensors = read_header(path)
    at = [tensor.name for tensor in tensors].index("model.embed_tokens.weight")
    data = path.read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0] + sum(t.size_bytes for t in tensors[:at])
    return data[begin : begin + tensors[at].size_bytes]


@pytest.mark.parametrize("name", recipe.names())
def test_the_model_still_says_about_the_same(name, probed):
    limit = next(limit for part, limit in ERROR.items() if part in name)
    assert 0 < probed[name]["error"] < limit


def test_calibrated_four_bit_is_nearer_to_the_model_than_rounded(probed):
    assert probed["w4a16-gptq"]["error"] < probed["w4a16-rtn"]["error"]


def test_the_same_run_gives_the_same_bytes(compressed, compress):
    again = compress("smoothquant-w8a8")[2]
    first = compressed["smoothquant-w8a8"].folder
    for name in ("model.safetensors", "config.json", "recipe.yaml"):
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_smoothing_is_exact_for_every_family_it_is_allowed_for(compress_python, demo, tmp_path):
    compress_python("-m", "tests.matrix.make_models", tmp_path, *CONFIGS)
    families = {}
    for folder in tmp_path.glob("*/base_model"):
        (architecture,) = json.loads((folder / "config.json").read_text())["architectures"]
        if architecture in EXACT_FOR:
            families.setdefault(architecture, folder)
    assert families.keys() == set(EXACT_FOR)
    folders = [demo.base_folder, *families.values()]
    done = compress_python(HERE / "smooth_probe.py", *folders)
    exact = {"equal": True, "changed": True}
    assert json.loads(done.stdout.splitlines()[-1]) == {
        folder.parent.name: {"v_o": exact, "up_down": exact} for folder in folders
    }


def test_interrupted_it_leaves_nothing(compress_python, demo, tmp_path):
    command = compress_command("w8a8-gptq", demo, tmp_path / "out", "--samples", "256")
    child = subprocess.Popen(
        [compress_python.python, "-m", "baseline", *command], env=compress_python.environment,
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in child.stderr:
        if "Quantising" in line:
            break
    assert [p.name.startswith(".out.partial-") for p in tmp_path.iterdir()] == [True]
    child.send_signal(signal.SIGINT)
    _, rest = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "nothing half-done" in rest and "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_calibration_data_comes_from_the_hub(compress_python, demo, tmp_path):
    """The same rows from a data set and from a file: the same digest, the same weights."""
    turns = [{"role": "user", "content": "사과 세 개에 두 개를 더하면 몇 개입니까?"}]
    (tmp_path / "set").mkdir()
    local = tmp_path / "set" / "train.jsonl"
    local.write_text(json.dumps({"messages": turns}) + "\n")
    written = {}
    with hub_server.serve() as hub:
        hub.add("team/chat", tmp_path / "set")
        far = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        for source in ("team/chat", str(local), "team/absent"):
            output = tmp_path / source.rpartition("/")[2]
            command = compress_command("w4a16-gptq", demo, output, "--data", source)
            done = compress_python("-m", "baseline", *command, check=False, **far)
            written[source] = (done, json.loads(done.stdout), output)
    (_, far_data, far_output), (_, near_data, near_output) = (
        written["team/chat"],
        written[str(local)],
    )
    assert far_data["data"]["sha256"] == near_data["data"]["sha256"]
    weights = "model.safetensors"
    assert (far_output / weights).read_bytes() == (near_output / weights).read_bytes()
    absent, document, output = written["team/absent"]
    assert (absent.returncode, document["error"]["code"]) == (3, "HUB_UNREACHABLE")
    assert "--data FILE.jsonl" in document["error"]["hint"]
    assert "Traceback" not in absent.stderr and not output.exists()


def test_weights_that_are_damaged_are_one_line_and_leave_nothing(compress_python, demo, tmp_path):
    damaged = shutil.copytree(demo.base_folder, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"\x10" * 100)
    command = compress_command("w8a8-rtn", demo, tmp_path / "out", "--model", damaged)
    done = compress_python("-m", "baseline", *command, check=False)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "MODEL_UNREADABLE")
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["damaged"]


def test_weights_that_are_missing_are_named_and_not_made_up(compress, demo, tmp_path):
    """transformers would fill them with random numbers. The demo's head is tied, so it is not missing."""
    lacking = shutil.copytree(demo.base_folder, tmp_path / "lacking")
    weights = lacking / "model.safetensors"
    name = b"model.layers.1.mlp.up_proj.weight"
    weights.write_bytes(weights.read_bytes().replace(name, name.replace(b"up_proj", b"up_gone")))
    done, document, output = compress("w8a8-rtn", "--model", lacking)
    assert (done.returncode, document["error"]["code"]) == (2, "MODEL_UNREADABLE")
    assert name.decode() in document["error"]["message"] and not output.exists()


@pytest.mark.parametrize("broken", ["tokenizer.json", "chat_template.jinja"])
def test_a_tokenizer_that_is_missing_or_broken_is_one_line(compress, demo, tmp_path, broken):
    lacking = shutil.copytree(demo.base_folder, tmp_path / "lacking")
    (lacking / broken).write_text("{% broken")
    if broken == "tokenizer.json":
        (lacking / broken).unlink()
        (lacking / "tokenizer_config.json").unlink()
    done, document, output = compress("w8a8-gptq", "--model", lacking)
    assert (done.returncode, document["error"]["code"]) == (2, "TOKENIZER_UNUSABLE")
    assert not output.exists() and "Loading" not in done.stderr


def test_targets_that_match_nothing_are_not_called_done(compress):
    done, document, output = compress("w8a8-rtn", "--set", "rtn.targets=[Lynear]")
    assert (done.returncode, document["error"]["code"]) == (2, "NOTHING_QUANTISED")
    assert "Lynear" in document["error"]["message"] and not output.exists()


def test_layers_dropped_in_two_steps_are_all_recorded(compress, tmp_path):
    own = tmp_path / "own.yaml"
    step = "- prune_layers: {layers: 1, keep_first: 0, keep_last: 0}\n"
    about = "schema: 1\nname: own\nabout: {en: a, ko: b}\nsteps:\n"
    own.write_text(about + 2 * step)
    done, document, output = compress(own)
    assert done.returncode == 0
    dropped = document["dropped_layers"]
    assert len(set(dropped)) == 2 and set(dropped) <= set(range(LAYERS))
    config = json.loads((output / "config.json").read_text())
    assert config["num_hidden_layers"] == LAYERS - 2


def test_a_disk_that_fills_up_while_writing_leaves_nothing(compress_python, demo, tmp_path):
    """A disk with room for what a recipe usually writes, and a custom recipe that writes more."""
    ignoring = ("--set", 'rtn.ignore=["re:.*[qvoepn]_proj", lm_head, "re:.*embed_tokens"]')
    command = compress_command("w8a8-rtn", demo, tmp_path / "small" / "out", *ignoring)
    (tmp_path / "small").mkdir()
    done = subprocess.run(
        ["bwrap", "--dev-bind", "/", "/", "--size", "4200000", "--tmpfs", tmp_path / "small",
         "sh", "-c", '"$@"; code=$?; ls -A "$0"; exit $code', tmp_path / "small",
         compress_python.python, "-m", "baseline", *command],
        env=compress_python.environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    document, _, listing = done.stdout.rpartition("}\n")
    assert json.loads(document + "}")["error"]["code"] == "DISK_FULL"
    assert listing == "" and "Traceback" not in done.stderr


def test_memory_that_torch_cannot_have_is_one_line(compress_python):
    code = (
        "import torch, baseline.compression.pipeline as e\nwith e.told(torch): torch.empty(1 << 55)"
    )
    done = compress_python("-c", code, check=False)
    assert "baseline.terminal.errors.CliError: Not enough memory" in done.stderr


def test_on_a_terminal_it_shows_the_stages(compress_python, demo, tmp_path):
    command = compress_command("w8a8-gptq", demo, tmp_path / "out")
    command.remove("--json")
    screen, code = in_terminal(
        [compress_python.python, "-m", "baseline", *command], compress_python.environment
    )
    assert code == 0, screen
    order = [
        screen.index(words)
        for words in ("Loading", "Quantising to W8A8 by gptq", "Writing", "less than")
    ]
    assert order == sorted(order)
    assert "Traceback" not in screen and "WARNING" not in screen


def test_awq_is_refused_for_families_without_mappings(compress_python):
    code = (
        "from baseline.compression.quantise import need_awq_mappings as need\n"
        "need('Exaone4ForCausalLM')\n"
        "try: need('SmolLM3ForCausalLM')\n"
        "except Exception as error: print(error.code)\n"
    )
    assert compress_python("-c", code).stdout.strip() == "AWQ_NOT_FOR_MODEL"
