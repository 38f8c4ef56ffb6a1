"""Weights derived from the base model's are distinguished from other weights, in every format."""

from __future__ import annotations

import pytest

from grader.worker.measure import compliance, weight_similarity
from tests.grader.worker.conftest import make_contest

torch = pytest.importorskip("torch")
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

FOLDER = make_contest().base_folder
ENOUGH = 0.8


@pytest.fixture(scope="module")
def weights():
    return load_file(FOLDER / "model.safetensors")


@pytest.fixture
def saved(tmp_path):
    def save(tensors):
        folder = tmp_path / "model"
        folder.mkdir()
        save_file(
            {name: t.contiguous() for name, t in tensors.items()}, folder / "model.safetensors"
        )
        return folder

    return save


def linear(name):
    return name.endswith("_proj.weight")


def rounded(weight, bits, group):
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    grouped = weight.float().reshape(weight.shape[0], -1, group)
    levels = 2 ** (bits - 1)
    scale = grouped.abs().amax(-1, keepdim=True) / (levels - 0.5)
    q = (grouped / scale).round().clamp(-levels, levels - 1).reshape(weight.shape).to(torch.int8)
    return pack_to_int32(q, bits), scale.squeeze(-1)


def test_the_base_model_is_like_itself():
    value, number, _ = weight_similarity.cosine(FOLDER, FOLDER, ENOUGH)
    assert value == pytest.approx(1.0, abs=1e-4)
    assert number > 10


@pytest.mark.parametrize(("bits", "least"), [(8, 0.99), (4, 0.97)])
def test_packed_weights_are_read(weights, saved, bits, least):
    made = {}
    for name, weight in weights.items():
        if linear(name):
            packed, scale = rounded(weight, bits, 64)
            made[f"{name}_packed"], made[f"{name}_scale"] = packed, scale
            made[f"{name}_shape"] = torch.tensor(weight.shape)
        else:
            made[name] = weight
    value, number, _ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > least
    assert number > 10


def test_int8_and_fp8_weights_with_scales_are_read(weights, saved):
    made = dict(weights)
    for i, name in enumerate(filter(linear, weights)):
        scale = weights[name].float().abs().amax(1, keepdim=True)
        limit, kind = ((127, torch.int8), (448, torch.float8_e4m3fn))[i % 2]
        made[name] = (weights[name].float() / scale * limit).round().to(kind)
        made[f"{name}_scale"] = scale / limit
    value, *_ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.99


@pytest.mark.parametrize("axes", [2, 4])
def test_scales_of_blocks_are_read(weights, saved, axes):
    """HF's FP8: a scale for each block of 32 rows and 64 columns, with the last ones cut off; ModelOpt's have
    four dimensions."""
    made = dict(weights)
    for name in filter(linear, weights):
        rows, columns = weights[name].shape
        scale = torch.rand(-(-rows // 32), -(-columns // 64)) + 0.01
        spread = scale.repeat_interleave(32, 0)[:rows].repeat_interleave(64, 1)[:, :columns]
        made[name] = weights[name].float() / spread
        made[f"{name}_scale_inv"] = scale if axes == 2 else scale[:, None, :, None]
    value, *_ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.99


def test_microscaled_bytes_are_exponents(weights, saved):
    made = dict(weights)
    for name in filter(linear, weights):
        rows, columns = weights[name].shape
        exponents = torch.randint(120, 134, (rows, columns // 32), dtype=torch.uint8)
        spread = torch.exp2(exponents.float() - 127).repeat_interleave(32, 1)
        made[name] = weights[name].float() / spread
        made[f"{name}_scale"] = exponents
    value, *_ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.99


@pytest.mark.parametrize("shape", [(0, 0), (64, -1), (1 << 30, 1 << 30)])
def test_packed_weights_with_a_false_shape_are_not_comparable_which_shows(weights, saved, shape):
    made = {}
    for name, weight in filter(lambda pair: linear(pair[0]), weights.items()):
        made[f"{name}_packed"], made[f"{name}_scale"] = rounded(weight, 4, 64)
        made[f"{name}_shape"] = torch.tensor(shape)
    folder = saved(made)
    found = weight_similarity.cosine(folder, FOLDER, ENOUGH)
    assert (found.value, found.compared, found.is_known) == (None, 0, False)
    assert found.total > 10
    assert compliance.weights(folder, FOLDER, make_contest()).flagged


def test_a_few_tensors_that_cannot_be_compared_are_no_flag_but_most_are(weights, saved):
    names = [name for name in weights if linear(name)]
    made = {name: w for name, w in weights.items() if linear(name)}
    for name in names[: len(names) // 3]:
        made[name] = torch.randn(8, 8)
    found = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert found.is_known
    assert found.value > 0.99


@pytest.mark.parametrize("bits", [3, 5, 6])
@pytest.mark.parametrize("crosses", [True, False])
def test_odd_widths_are_read_in_both_ways_of_packing(weights, saved, bits, crosses):
    made = {}
    for name, weight in filter(lambda pair: linear(pair[0]), weights.items()):
        packed, scale = rounded(weight, bits, 64)
        if crosses:
            values = unpack_from_int32(packed, bits, weight.shape).long() + 2 ** (bits - 1)
            each = (values.unsqueeze(-1) >> torch.arange(bits)) & 1
            words = each.flatten(1).reshape(weight.shape[0], -1, 32)
            packed = (words << torch.arange(32)).sum(-1).to(torch.uint32).view(torch.int32)
        made[f"{name}_packed"], made[f"{name}_scale"] = packed, scale
        made[f"{name}_shape"] = torch.tensor(weight.shape)
    value, *_ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > {3: 0.9, 5: 0.98, 6: 0.98}[bits]


def grouped(weight, group=64):
    """Unsigned 4-bit values with a zero point and a scale for each group of inputs, as inputs × outputs."""
    w = weight.float().T.reshape(-1, group, weight.shape[0])  # groups × inputs × outputs
    low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
    scale = (high - low).clamp_min(1e-6) / 15
    zero = (-low / scale).round().clamp(0, 15)
    q = (w / scale + zero).round().clamp(0, 15)
    return q.flatten(0, 1).int(), zero.squeeze(1).int(), scale.squeeze(1)


def into_words(values, order=range(8)):
    """Pack eight 4-bit values along the last axis into a word."""
    parts = values.long().unflatten(-1, (-1, 8))
    words = sum(parts[..., value] << 4 * at for at, value in enumerate(order))
    return words.to(torch.uint32).view(torch.int32)


def test_gptq_and_awq_are_read(weights, saved):
    made = {}
    for i, (name, weight) in enumerate(weights.items()):
        if not linear(name):
            continue
        q, zero, scale = grouped(weight)
        module = name.removesuffix(".weight")
        made[f"{module}.scales"] = scale
        if i % 2:
            made[f"{module}.qweight"] = into_words(q.T.contiguous()).T
            made[f"{module}.qzeros"] = into_words((zero - 1) % 16)
        else:  # AutoAWQ's order
            made[f"{module}.qweight"] = into_words(q, (0, 2, 4, 6, 1, 3, 5, 7))
            made[f"{module}.qzeros"] = into_words(zero, (0, 2, 4, 6, 1, 3, 5, 7))
    value, number, total = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.97
    assert number == total > 10


@pytest.mark.parametrize("suffix", ["_packed", ""])
def test_4_bit_floats_are_read(weights, saved, suffix):
    """MXFP4 of compressed-tensors, and NVFP4 as ModelOpt names it."""
    levels = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    made = {}
    for name, weight in filter(lambda pair: linear(pair[0]), weights.items()):
        w = weight.float().reshape(weight.shape[0], -1, 32)
        exponent = (w.abs().amax(-1, keepdim=True) / 6).log2().ceil()
        scaled = w / torch.exp2(exponent)
        code = (scaled.abs().unsqueeze(-1) - levels).abs().argmin(-1) + 8 * (scaled < 0)
        code = code.reshape(weight.shape[0], -1, 2).to(torch.uint8)
        made[f"{name}{suffix}"] = code[..., 0] | (code[..., 1] << 4)
        made[f"{name}_scale"] = (exponent.squeeze(-1) + 127).to(torch.uint8)
    value, number, total = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.97
    assert number == total


def test_what_was_pruned_is_looked_for_and_other_weights_are_not_found(weights, saved, tmp_path):
    """Every third channel of the feed-forward layers and every other head is gone, the rest moved up."""
    generator = torch.Generator().manual_seed(1)

    def narrow(name, weight):
        if name.endswith(("gate_proj.weight", "up_proj.weight")):
            return weight[torch.arange(weight.shape[0]) % 3 != 0]
        if name.endswith("down_proj.weight"):
            return weight[:, torch.arange(weight.shape[1]) % 3 != 0]
        if name.endswith("q_proj.weight"):
            return weight[: weight.shape[0] // 2]
        return weight[:, : weight.shape[1] // 2] if name.endswith("o_proj.weight") else None

    made = {n: cut for n, w in weights.items() if (cut := narrow(n, w)) is not None}
    value, number, total = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value == pytest.approx(1.0, abs=1e-3)
    assert number == total
    folder = tmp_path / "other"
    folder.mkdir()
    other = {n: torch.randn(w.shape, generator=generator).to(w.dtype) for n, w in made.items()}
    save_file(other, folder / "model.safetensors")
    value, *_ = weight_similarity.cosine(folder, FOLDER, ENOUGH)
    assert value < 0.6


def test_smoothing_does_not_hide_where_weights_come_from(weights, saved):
    generator = torch.Generator().manual_seed(1)

    def factors(n):
        return torch.exp(torch.randn(n, generator=generator))

    made = {
        name: (w.float() * factors(w.shape[1]) * factors(w.shape[0])[:, None]).to(w.dtype)
        if linear(name)
        else w
        for name, w in weights.items()
    }
    value, *_ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.95


def test_the_layer_after_a_removed_one_is_found(weights, saved):
    made = {}
    for name, weight in weights.items():
        if ".layers.1." in name:
            continue
        made[name.replace(".layers.2.", ".layers.1.").replace(".layers.3.", ".layers.2.")] = weight
    value, *_ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value == pytest.approx(1.0, abs=1e-4)


def test_other_weights_are_found_out(weights, saved):
    generator = torch.Generator().manual_seed(1)
    made = {
        name: torch.randn(w.shape, generator=generator).to(w.dtype) if w.ndim == 2 else w
        for name, w in weights.items()
    }
    value, *_ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value < 0.3
