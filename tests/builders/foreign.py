"""Files of other kinds, by the least that tells them apart: first bytes, members, contents."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from typing import Callable, Dict, Tuple

import numpy as np

from tests.builders import torch_files

#: What a file begins with, and a word of what is said of it.
BEGINNINGS: Dict[str, Tuple[bytes, str]] = {
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n", "LFS"),
    "html": (b"<!DOCTYPE html>\n<html><head></head></html>", "HTML page"),
    "html without doctype": (b"\n  <html lang='en'></html>", "HTML page"),
    "a model of OpenVINO": (b"<?xml version='1.0'?><net name='x'>", "XML"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
    "json list": (b"[1, 2, 3]", "JSON"),
    "text": (b"Entry not found", "text file"),
    "text of an opcode": (b"Not Found", "text file"),
    "text in utf-8": ("Datei nicht gefunden: Gewichte \u00fc\n".encode() * 20, "text file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(40), "GGUF"),
    "ggml": (b"lmgg" + bytes(40), "GGML"),
    "ggjt": (b"tjgg" + bytes(40), "GGML"),
    "npy": (b"\x93NUMPY\x01\0v\0{'descr': '<f4'}", "numpy array"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(40), "Lite"),
    "ExecuTorch": (b"8\0\0\0ET12" + bytes(40), "program of ExecuTorch"),
    "Orbax manifest": (bytes.fromhex("0cdb3a2aec00000000000000") + bytes(40), "Orbax"),
    "Orbax node": (bytes.fromhex("0cdb1234a900000000000000") + bytes(40), "OCDBT"),
    "Orbax versions": (bytes.fromhex("0cdb20dea900000000000000") + bytes(40), "OCDBT"),
    "mobile program": (b"$\0\0\0PTMF" + bytes(40), "TorchScript program for mobiles"),
    "saved model": (b"\x08\x01\x12\x1d" + bytes(40), "SavedModel"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(40), "ONNX"),
    "onnx without producer": (b"\x08\x08:\x10" + bytes(40), "ONNX"),
    "msgpack": (b"\x82\xa6params\x81\xa6kernel\xc7\x10\x01" + bytes(20), "msgpack"),
    "tensorrt": (b"ftrt" + bytes(40), "TensorRT"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "7z"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(40), "RAR"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(40), "zstd"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(40), "LZ4"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "image"),
    "pdf": (b"%PDF-1.4\n" + bytes(40), "PDF"),
    "parquet": (b"PAR1" + bytes(40), "Parquet"),
    "sqlite": (b"SQLite format 3\0" + bytes(40), "SQLite"),
    "mat": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), "MAT file"),
    "elf": (b"\x7fELF" + bytes(40), "program"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "empty zip"),
    "tf index": (bytes(80) + bytes.fromhex("57fb808b247547db"), "TensorFlow"),
    "gzip": (gzip.compress(b"x" * 99), "compressed with gzip"),
    "bzip2": (bz2.compress(b"x" * 99), "compressed with bzip2"),
    "xz": (lzma.compress(b"x" * 99), "compressed with xz"),
    "lzma": (lzma.compress(b"x" * 99, format=lzma.FORMAT_ALONE), "compressed with xz"),
    "zlib": (zlib.compress(b"x" * 99), "compressed with zlib"),
}


def arrays(protocol: int) -> bytes:
    """Return a pickle.dump of numpy arrays."""
    return pickle.dumps({"w": np.arange(6, dtype=np.float32)}, protocol=protocol)


#: How joblib compresses a pickle.
COMPRESSIONS: Dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
}


def zipped(members: Dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive of such files, as Python's zipfile writes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(members: Dict[str, bytes]) -> bytes:
    """Return a tar archive of such files, as Python's tarfile writes it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


_CHECKPOINT = torch_files.torch_zip()

#: What a zip holds, and a word of what is said of it; each is met stored and deflated.
ZIPS: Dict[str, Tuple[Dict[str, bytes], str]] = {
    "npz": ({"a.npy": b"\x93NUMPY", "b.npy": b"\x93NUMPY"}, ".npz"),
    "exported program": (
        {"ep/archive_format": b"pt2", "ep/models/model.json": b"{}", "ep/data/x.pt": _CHECKPOINT},
        "torch.export",
    ),
    "torch.package": (
        {"p/model/model.pkl": b"N.", "p/.data/extern_modules": b"torch"},
        "torch.package",
    ),
    "stable-baselines3": (
        {"data": b"{}", "policy.pth": b"x", "_stable_baselines3_version": b"2.0"},
        "Stable-Baselines3",
    ),
    "keras": ({"config.json": b"{}", "model.weights.h5": b"\x89HDF"}, "Keras"),
    "office": ({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}, "Office"),
    "onnx": ({"model.onnx": b"\x08\x07"}, "ONNX"),
    "early program": ({"m/model.json": b"{}", "m/attributes.pkl": b"]."}, "early TorchScript"),
    "java": ({"META-INF/MANIFEST.MF": b"", "a.class": b""}, "Java"),
    "checkpoint in a folder": ({"model/model.safetensors": b"{}", "README.md": b""}, "model.safe"),
    "anything": ({"a.txt": b"", "b.txt": b""}, "a.txt, b.txt"),
    "torch.save that failed": (
        {"m/version": b"3", "m/byteorder": b"little", "m/.data/serialization_id": b"1"},
        "without data.pkl",
    ),
}


def distributed(*bodies: bytes) -> bytes:
    """Return a file of torch.distributed.checkpoint: archives in a row, one for each body."""
    return b"".join(torch_files.torch_zip(body) for body in bodies)
