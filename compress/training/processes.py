"""One process, or several that torchrun started and that train one network together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from compress import launched
from compress.models.norms import batch_norm_kind

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of one command.

    Attributes:
        rank: this process's number.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def share(self, value: T | None) -> T:
        """The first process's value, on every process."""
        box = [value]
        if self.count > 1:
            distributed.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up arrays of one shape, float64, over all processes."""
        if self.count == 1:
            return values
        total = torch.from_numpy(values.copy())
        if distributed.get_backend() == "nccl":
            total = total.cuda()
        distributed.all_reduce(total)
        return total.cpu().numpy()

    def wrap(self, module: nn.Module) -> nn.Module:
        """The network as it is called in training: its gradients are the mean over all processes.

        Only what learns is wrapped; a teacher never is.
        """
        if self.count == 1:
            return module
        device = next(module.parameters()).device
        # Buffers (BatchNorm's statistics) follow the first process, which alone is saved.
        ids = [device] if device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids, gradient_as_bucket_view=True)

    def batch_norm(self, module: nn.Module, device: torch.device) -> tuple[nn.Module, str]:
        """Let BatchNorm see the whole step where torch can; says which statistics it uses.

        Returns:
            The network, and one of: none, frozen, whole step, synchronised, per process.
        """
        kind = batch_norm_kind(module)
        if kind != "whole step" or self.count == 1:
            return module, kind
        if device.type == "cuda":
            synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
            return synchronised, "synchronised"
        return module, "per process"  # torch's SyncBatchNorm has no CPU kernel


ALONE = Processes()


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Meet the other processes that torchrun started; alone where it did not."""
    if launched.process_count() == 1:
        yield ALONE
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Processes(launched.rank(), launched.process_count())
    finally:
        distributed.destroy_process_group()
