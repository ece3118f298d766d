"""What computes: a device by its name, and how it can be relied upon."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.errors import UserError


def device_of(text: str) -> torch.device:
    """The device that is meant; '' is the first CUDA device if there is one, else the CPU."""
    if not text:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(f"cuda:{text}" if text.isdigit() else text)
    except RuntimeError:
        device = torch.device("meta")  # none that computes
    if device.type not in {"cpu", "cuda"}:
        raise UserError(f"--device {text}: expected cpu, cuda or cuda:NUMBER")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {text}: there is no such CUDA device here")
    return device


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Sums on a GPU in a fixed order: the same pictures give the same bytes, run after run.

    On a CPU they are in order anyway, and asking costs seconds of imports inside torch.
    """
    if device.type == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warned)


def mixed_pays(device: torch.device) -> bool:
    """Whether mixed precision pays on a device: on GPUs, and on processors with bfloat16."""
    if device.type == "cpu":
        probe = torch.cpu
        return bool(probe._is_avx512_bf16_supported() or probe._is_amx_tile_supported())  # noqa: SLF001 - there is no public way
    return True
