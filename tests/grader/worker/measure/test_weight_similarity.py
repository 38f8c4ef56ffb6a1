"""Weights derived from the base model's are distinguished from other weights, in every format."""

from __future__ import annotations

import pytest

from grader.worker.measure import weight_similarity
from tests.grader.worker.conftest import make_contest

torch = pytest.importorskip("torch")
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
    value, number = weight_similarity.cosine(FOLDER, FOLDER, ENOUGH)
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
    value, number = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > least
    assert number > 10


def test_int8_and_fp8_weights_with_scales_are_read(weights, saved):
    made = dict(weights)
    for i, name in enumerate(filter(linear, weights)):
        scale = weights[name].float().abs().amax(1, keepdim=True)
        limit, kind = ((127, torch.int8), (448, torch.float8_e4m3fn))[i % 2]
        made[name] = (weights[name].float() / scale * limit).round().to(kind)
        made[f"{name}_scale"] = scale / limit
    value, _ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
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
    value, _ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.99


def test_microscaled_bytes_are_exponents(weights, saved):
    made = dict(weights)
    for name in filter(linear, weights):
        rows, columns = weights[name].shape
        exponents = torch.randint(120, 134, (rows, columns // 32), dtype=torch.uint8)
        spread = torch.exp2(exponents.float() - 127).repeat_interleave(32, 1)
        made[name] = weights[name].float() / spread
        made[f"{name}_scale"] = exponents
    value, _ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.99


@pytest.mark.parametrize("shape", [None, (0, 0), (64, -1)])
def test_packed_weights_that_cannot_be_read_are_left_out(weights, saved, shape):
    """MXFP4 and NVFP4 store no shape, and a shape from the team is not trusted."""
    made = {}
    for name, weight in filter(lambda pair: linear(pair[0]), weights.items()):
        made[f"{name}_packed"] = torch.zeros(
            weight.shape[0], weight.shape[1] // 2, dtype=torch.uint8
        )
        if shape is not None:
            made[f"{name}_shape"] = torch.tensor(shape)
    assert weight_similarity.cosine(saved(made), FOLDER, ENOUGH) is None


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
    value, _ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value > 0.95


def test_the_layer_after_a_removed_one_is_found(weights, saved):
    made = {}
    for name, weight in weights.items():
        if ".layers.1." in name:
            continue
        made[name.replace(".layers.2.", ".layers.1.").replace(".layers.3.", ".layers.2.")] = weight
    value, _ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value == pytest.approx(1.0, abs=1e-4)


def test_other_weights_are_found_out(weights, saved):
    generator = torch.Generator().manual_seed(1)
    made = {
        name: torch.randn(w.shape, generator=generator).to(w.dtype) if w.ndim == 2 else w
        for name, w in weights.items()
    }
    value, _ = weight_similarity.cosine(saved(made), FOLDER, ENOUGH)
    assert value < 0.3


def test_nothing_to_compare(weights, saved):
    narrow = {name: w[:, :32] for name, w in weights.items() if linear(name)}
    assert weight_similarity.cosine(saved(narrow), FOLDER, ENOUGH) is None
