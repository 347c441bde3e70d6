"""The masked autoencoder (He et al., 2021, arXiv:2111.06377) with the published names.

``mae.config`` knows the sizes and imports nothing; ``mae.large`` is the model in PyTorch.
"""
