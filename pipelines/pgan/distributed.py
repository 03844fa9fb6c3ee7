"""Several processes on one training, started by ``torchrun``: who am I, and what do we agree on.

Each process works on its share of every batch's parts; gradients and figures are averaged by one all-reduce of one flat
buffer. torch's DistributedDataParallel is not used: it hooks into ``backward()``, while the engine asks for gradients
by ``autograd.grad``, twice through the same generated pictures and once through a gradient (R1), which it bars. The
networks need no broadcast: all processes draw them from the same seed, or read the same checkpoint, and then move them
by the same numbers. Without torchrun everything here stands for one process.
"""

import os
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, distributed


def start(device: str) -> None:
    """Join the processes that torchrun started, over NCCL for "cuda" and gloo for "cpu"; nothing without torchrun.

    All go on together, so that the first has written what the others are about to read. Whoever starts them otherwise
    sets the same variables, and may name a place to meet in $MIDAR_RENDEZVOUS (a torch init_method: a file opens no
    port).
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device_of(device))
    if not distributed.is_initialized():
        distributed.init_process_group(
            "nccl" if device.startswith("cuda") else "gloo",
            init_method=os.environ.get("MIDAR_RENDEZVOUS", "env://"),
            rank=int(os.environ["RANK"]),
            world_size=int(os.environ["WORLD_SIZE"]),
        )
    distributed.barrier()


def finish() -> None:
    """Leave the others. The first process goes on; the rest end here, with exit status 0."""
    if world() == 1:
        return
    follows = not leads()
    distributed.barrier()
    distributed.destroy_process_group()
    if follows:
        sys.exit(0)


def rank() -> int:
    """This process' number, 0 …"""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share() -> tuple[int, int]:
    """This process' number, and how many there are."""
    return rank(), world()


def leads() -> bool:
    """Is this the process that writes?"""
    return rank() == 0


def device_of(name: str) -> torch.device:
    """The device of a setting; for "cuda" under torchrun, the card of this process' place on its machine."""
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return torch.device(name)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors of one type by their means over all processes, in one all-reduce."""
    if world() == 1:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= world()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.reshape(tensor.shape))


def agreed(ask: Callable[[], bool]) -> Callable[[], bool]:
    """The first process' answer for all, so that they stop after the same step; the others are not asked."""
    if world() == 1:
        return ask

    def answer() -> bool:
        wish = [ask() if leads() else False]
        distributed.broadcast_object_list(wish, src=0)
        return bool(wish[0])

    return answer
