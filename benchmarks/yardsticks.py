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

#: Writes many small tensors.
MANY_TENSORS = """
import sys, torch
torch.save({"model": {f"layer.{i}.weight": torch.zeros(4) for i in range(100_000)}}, sys.argv[1])
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
