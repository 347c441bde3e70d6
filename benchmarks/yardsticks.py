"""What a user would run instead, as scripts for ``python -c``."""

from __future__ import annotations

IMPORT_TORCH = "import torch"
IMPORT_CLICK = "import click"
IMPORT_CLICK_RICH = "import click, rich.table"

#: Each team's throw-away script: build, load, look at the missing keys, run it once.
PLAIN_SCRIPT = """
import sys, torch
from mae.large import mae_vit_large_patch16
model = mae_vit_large_patch16()
checkpoint = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
result = model.load_state_dict(checkpoint["model"], strict=False)
assert all(name.startswith(("decoder_", "mask_token")) for name in result.missing_keys)
with torch.no_grad():
    model.forward_encoder(torch.randn(2, 3, 224, 224), 0.75)
"""

#: Times the opening alone, imports left out on both sides; prints seconds.
TORCH_OPEN = """
import sys, time, torch
begin = time.perf_counter()
torch.load(sys.argv[1], weights_only=True, mmap=True)
print(time.perf_counter() - begin)
"""
OUR_OPEN = """
import sys, time
from ckpttool import open_checkpoint
begin = time.perf_counter()
open_checkpoint(sys.argv[1]).close()
print(time.perf_counter() - begin)
"""

#: What most conversion scripts do: load everything, save everything.
SAVE_FILE = """
import sys, torch
from safetensors.torch import save_file
checkpoint = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
save_file(checkpoint["model"], sys.argv[2], metadata={"format": "pt"})
"""

#: Writes a copy, the same weights as safetensors, and the same weights with noise on all of them.
DIFF_INPUTS = """
import shutil, sys, torch
from safetensors.torch import save_file
source, copy, packed, noisy = sys.argv[1:]
shutil.copyfile(source, copy)
weights = torch.load(source, weights_only=True)["model"]
save_file({name: tensor.contiguous() for name, tensor in weights.items()}, packed)
torch.manual_seed(977)
changed = {name: tensor + 1e-3 * torch.randn(tensor.shape) for name, tensor in weights.items()}
torch.save({"model": changed}, noisy)
"""

#: Writes a checkpoint in many shards, of tensors of four floats, and its index.
MANY_SHARDS = """
import json, struct, sys
from pathlib import Path
folder, shards, names = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
each, placed = names // shards, {}
for shard in range(shards):
    file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
    header = {}
    for number in range(each):
        name = f"model.layers.{shard}.mlp.experts.{number}.up_proj.weight"
        at = 16 * number
        header[name] = {"dtype": "F32", "shape": [4], "data_offsets": [at, at + 16]}
        placed[name] = file
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(16 * each)
    (folder / file).write_bytes(data)
index = {"metadata": {"total_size": 16 * each * shards}, "weight_map": placed}
(folder / "model.safetensors.index.json").write_text(json.dumps(index))
"""

#: Writes the same weights, and those with noise on all of them, in two narrower types.
NARROW_INPUTS = """
import sys, torch
source, noisy, folder = sys.argv[1:]
for name, path in ("same", source), ("noisy", noisy):
    weights = torch.load(path, weights_only=True)["model"]
    for dtype in torch.bfloat16, torch.float16:
        narrow = {key: tensor.to(dtype) for key, tensor in weights.items()}
        torch.save({"model": narrow}, f"{folder}/{name}-{str(dtype).split('.')[1]}.pth")
"""

#: Three reductions a tensor, as one would write them.
TORCH_DIFF = """
import sys, torch
left, right = (torch.load(path, weights_only=True, mmap=True)["model"] for path in sys.argv[1:])
for name, one in left.items():
    difference = (one - right[name]).abs()
    reduced = difference.max(), difference.mean(), difference.square().mean().sqrt()
    print(name, *(value.item() for value in reduced))
"""

#: Writes a number of tensors of four floats as torch and as the library of safetensors write them.
MANY_IN_BOTH = """
import sys, torch
from safetensors.torch import save_file
number, pth, packed = sys.argv[1:]
values = torch.randn(int(number), 4)
weights = {f"layer.{i}.weight": values[i].clone() for i in range(int(number))}
torch.save({"model": weights}, pth)
save_file(weights, packed)
"""

#: Times the opening alone, with what a header says of each tensor; prints seconds.
SAFE_OPEN = """
import sys, time
from safetensors import safe_open
begin = time.perf_counter()
with safe_open(sys.argv[1], "pt") as file:
    for name in file.keys():
        part = file.get_slice(name)
        part.get_dtype(), part.get_shape()
print(time.perf_counter() - begin)
"""

#: Writes 100,000 entries that claim the same bytes: what the format's library attacks itself with.
HOSTILE_HEADER = """
import json, sys
entry = {"dtype": "F32", "shape": [200, 200], "data_offsets": [0, 160_000]}
header = json.dumps({f"weight_{i}": entry for i in range(100_000)}, separators=(",", ":")).encode()
with open(sys.argv[1], "wb") as file:
    file.write(len(header).to_bytes(8, "little") + header + bytes(len(header)))
"""

#: Writes kinds of change of the same weights into a folder: one file for each name in KINDS.
DIFF_KINDS = """
import sys, torch
source, folder, *names = sys.argv[1:]
weights = torch.load(source, weights_only=True)["model"]
torch.manual_seed(977)
def sign(v):
    return torch.randint(0, 2, v.shape).mul_(2).sub_(1).float()
def spoilt(v, odd):
    v = v + 1e-3 * torch.randn(v.shape)
    v.view(-1)[v.numel() // 2] = odd
    return v
KINDS = {
    "moved": lambda v: v + 1e-4 * v.sign(),
    "step": lambda v: v - 1e-4 * sign(v),
    "neighbour": lambda v: torch.nextafter(v, sign(v) * torch.inf),
    "decay": lambda v: v * 0.999,
    "some": lambda v: torch.where(torch.rand(v.shape) < 0.01, v + 1e-3, v),
    "negated": lambda v: -v,
    "zero": lambda v: torch.zeros_like(v),
    "twice": lambda v: 2 * v,
    "bfloat16": lambda v: v.bfloat16().float(),
    "nan": lambda v: spoilt(v, torch.nan),
    "infinity": lambda v: spoilt(v, torch.inf),
    "tiny": lambda v: v * 1e-25,
    "huge": lambda v: v * 1e25,
}
def block(name, v):
    return v + 1e-3 * torch.randn(v.shape) if name.startswith("blocks.7.") else v
for name in names:
    if name == "block":
        changed = {key: block(key, v) for key, v in weights.items()}
    else:
        changed = {key: KINDS[name](v) for key, v in weights.items()}
    torch.save({"model": changed}, f"{folder}/{name}.pth")
"""

#: Writes 100,000 tensors of four elements twice, of which all differ, in both containers.
DIFF_MANY = """
import sys, torch
from safetensors.torch import save_file
torch.manual_seed(977)
one = {f"layer.{i}.weight": torch.randn(4) for i in range(100_000)}
for side, weights in ("a", one), ("b", {name: v + 1e-3 for name, v in one.items()}):
    torch.save({"model": weights}, f"{sys.argv[1]}/many-{side}.pth")
    save_file(weights, f"{sys.argv[1]}/many-{side}.safetensors")
"""

#: Writes the weights as they are or in bfloat16, an adapter of rank 16 for each of their matrices,
#: and what its merge makes of them.
PROVE_INPUTS = """
import json, sys, torch
from safetensors.torch import save_file
source, folder, kind = sys.argv[1:]
weights = torch.load(source, weights_only=True)["model"]
torch.manual_seed(977)
before = {key: v.contiguous() if kind == "single" else v.bfloat16() for key, v in weights.items()}
after, adapter = {key: v.clone() for key, v in before.items()}, {}
for key, v in before.items():
    if key.endswith(".weight") and v.dim() == 2:
        up, down = torch.randn(v.shape[0], 16) * 0.02, torch.randn(16, v.shape[1]) * 0.02
        added = (up @ down) * 2
        after[key] += added.bfloat16() if kind == "rounded" else added
        adapter[key.replace(".weight", ".lora_A.weight")] = down
        adapter[key.replace(".weight", ".lora_B.weight")] = up
save_file(before, f"{folder}/a.safetensors")
save_file(after, f"{folder}/b.safetensors")
save_file(adapter, f"{folder}/adapter_model.safetensors")
with open(f"{folder}/adapter_config.json", "w") as file:
    json.dump({"peft_type": "LORA", "r": 16, "lora_alpha": 32}, file)
"""

#: Writes 300 MB of fp8 with a scale for each block, and the bfloat16 weights that it is made of.
FP8_IN_BLOCKS = """
import sys, torch
from safetensors.torch import save_file
torch.manual_seed(0)
codes, before = {}, {}
for layer in range(8):
    name = f"model.layers.{layer}.mlp.up_proj.weight"
    weight = (torch.randn(9216, 4096) / 50).bfloat16()
    blocks = weight.float().view(72, 128, 32, 128)
    scales = blocks.abs().amax((1, 3)) / 448
    quotient = blocks / scales[:, None, :, None]
    before[name] = weight
    codes[name] = quotient.view(9216, 4096).to(torch.float8_e4m3fn)
    codes[f"{name}_scale_inv"] = scales
save_file(codes, sys.argv[1], metadata={"format": "pt"})
save_file(before, sys.argv[2], metadata={"format": "pt"})
"""

#: Undoes it as scripts do: load everything, a product for each weight, save everything.
DEQUANTISE = """
import sys, torch
from safetensors.torch import load_file, save_file
state, result = load_file(sys.argv[1]), {}
for name, weight in state.items():
    scales = state.get(f"{name}_scale_inv")
    if scales is not None:
        rows, columns = weight.shape
        blocks = weight.float().view(scales.shape[0], 128, scales.shape[1], 128)
        product = blocks * scales[:, None, :, None]
        result[name] = product.view(rows, columns).to(torch.bfloat16)
    elif not name.endswith("_scale_inv"):
        result[name] = weight
save_file(result, sys.argv[2], metadata={"format": "pt"})
"""

#: What STATS_INPUTS writes.
STATS_FILES = (
    "copy.pth",
    "noisy.pth",
    "narrow.safetensors",
    "many.safetensors",
    "others.safetensors",
)

#: Arguments: a checkpoint, and the folder for files of the same weights in other forms.
STATS_INPUTS = """
import shutil, sys
import torch
from safetensors.torch import save_file
source, folder = sys.argv[1:]
shutil.copyfile(source, f"{folder}/copy.pth")
weights = torch.load(source, map_location="cpu", weights_only=True)["model"]
random = torch.Generator().manual_seed(0)
noise = {name: torch.randn(one.shape, generator=random) for name, one in weights.items()}
noisy = {name: one + 1e-3 * noise[name] for name, one in weights.items()}
torch.save({"model": noisy}, f"{folder}/noisy.pth")
narrow = {name: one.bfloat16().contiguous() for name, one in weights.items()}
save_file(narrow, f"{folder}/narrow.safetensors")
for name in ("many", "others"):
    small = {f"blocks.{at}.weight": torch.randn(8, generator=random) for at in range(100_000)}
    save_file(small, f"{folder}/{name}.safetensors")
"""
