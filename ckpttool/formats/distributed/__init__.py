"""Checkpoints that several processes wrote, each its own parts of the tensors.

``folder`` reads one of torch.distributed.checkpoint: ``.metadata`` lists the parts
(``listing``), which lie in files beside it (``files``, ``archives``). ``unconsolidated`` reads
safetensors files that say of each tensor where in the whole one it stands. ``cover`` is where both
learn whether the parts make up the tensors, ``whole`` what one tensor is made of.
"""
