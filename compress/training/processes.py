"""One process, or several that torchrun started and that train one network together."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from compress import launched
from compress.errors import ArtifactError, CompressError
from compress.models.norms import batch_norm_kind
from compress.training.ending import Notes, ending

T = TypeVar("T")
_Told = tuple[T | None, type[CompressError] | None, tuple[Any, ...]]  # value, or error in parts


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

    def outcome(self, make: Callable[[], T]) -> T:
        """What `make` gives on the first process, on every process.

        Raises:
            CompressError: the one that `make` raised on the first process; on every process.
        """
        if not self.first:
            value, kind, arguments = self.share(cast("_Told[T] | None", None))
            if kind is not None:
                raise kind.__new__(kind, *arguments)
            return cast("T", value)
        try:
            made = make()
        except CompressError as error:
            # By its parts: pickle would make it from its sentence, which some are not made of.
            self.share((None, type(error), error.args))
            raise
        self.share((made, None, ()))
        return made

    def check_same(self, value: object, subject: str) -> None:
        """Go on only where every process has the first one's value.

        Args:
            value: of this process.
            subject: what it is, for the error.

        Raises:
            ArtifactError: this process has another value than the first.
        """
        first = self.share(value)
        if value != first:
            raise ArtifactError(
                f"{subject}: expected {first}, as the first process has, found {value}; "
                "let all processes see one --out folder"
            )

    def same_buffers(self, module: nn.Module) -> None:
        """Give a network the first process's buffers: BatchNorm's statistics, which it saves.

        In training each process moves its own, and torch makes them one only as the next step
        begins; what is evaluated in between must be the network that is saved.
        """
        buffers = [buffer for buffer in module.buffers() if buffer.numel()]
        if self.count == 1 or not buffers:
            return
        # As bytes, in one message: whatever their types are.
        own = [buffer.detach().contiguous().view(-1).view(torch.uint8) for buffer in buffers]
        message = torch.cat(own)
        distributed.broadcast(message, src=0)
        for buffer, part in zip(buffers, torch.split(message, [len(b) for b in own]), strict=True):
            buffer.detach().copy_(part.clone().view(buffer.dtype).view(buffer.shape))

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

    def batch_norm(
        self, module: nn.Module, device: torch.device, accumulate: int = 1
    ) -> tuple[nn.Module, str]:
        """Let BatchNorm see the whole step where torch can; says which statistics it uses.

        Args:
            module: the network.
            device: where it is trained.
            accumulate: parts of each process's share of a step; BatchNorm sees one at a time.

        Returns:
            The network, and one of: none, frozen, whole step, per part, per process,
            synchronised, synchronised per part.
        """
        kind = batch_norm_kind(module)
        if kind != "whole step":
            return module, kind
        if self.count > 1 and device.type == "cuda":
            synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
            return synchronised, "synchronised" if accumulate == 1 else "synchronised per part"
        if accumulate > 1:
            return module, "per part"
        # torch's SyncBatchNorm has no CPU kernel.
        return module, "whole step" if self.count == 1 else "per process"


ALONE = Processes()


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Meet the other processes that torchrun started; alone where it did not.

    Raises:
        SaidElsewhereError: another process has said, or says, why this one cannot go on.
        TrainingError: another process was killed or cannot be reached any more.
    """
    if launched.process_count() == 1:
        yield ALONE
        return
    rank, count = launched.rank(), launched.process_count()
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    store = _store_of_this_meeting(rank)
    notes = Notes(store, rank, count)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    group = PrefixStore("group", store)
    distributed.init_process_group(backend, store=group, rank=rank, world_size=count)
    try:
        yield Processes(rank, count)
    except (Exception, KeyboardInterrupt) as error:
        end = ending(error, notes, first=rank == 0)
        if end is error:
            raise
        raise end from error
    finally:
        distributed.destroy_process_group()


def _store_of_this_meeting(rank: int) -> Store:
    """The store that torchrun keeps, with keys of its own for each time that the processes meet."""
    store: Store = next(rendezvous("env://"))[0]
    number = store.add(f"meetings of {rank}", 1)
    return PrefixStore(f"meeting {number}", store)
