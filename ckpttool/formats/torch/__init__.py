"""The containers of ``torch.save``: zip, legacy and tar."""
