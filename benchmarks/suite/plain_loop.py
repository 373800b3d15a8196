"""The peer: distillation as the field's tutorials write it, and written as well as they do.

A live teacher in torch (in eval mode and without gradient, which not all of them remember), PIL
transforms, a DataLoader with worker processes, SGD with Nesterov momentum and a cosine.
"""

import math
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import transforms

MEAN, SCALE = 128 / 255, 64 / 255


class PilImages(torch.utils.data.Dataset):
    """Arrays as PIL images through the usual transforms."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, pad: int) -> None:
        self.pixels, self.labels = pixels, labels
        channels = pixels.shape[3]
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(pixels.shape[1], padding=pad),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize([MEAN] * channels, [SCALE] * channels),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        pixels = self.pixels[index]
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        return self.transform(image), int(self.labels[index])


class PlainLoop:
    """A student that learns from a teacher, epoch after epoch."""

    def __init__(  # noqa: PLR0913 - what such a script has at its top
        self,
        student: nn.Module,
        teacher: nn.Module,
        images: PilImages,
        *,
        epochs: int,
        lr: float = 0.05,
        batch_size: int = 128,
        workers: int = 2,
        temperature: float = 4.0,
        kd_weight: float = 0.9,
    ) -> None:
        self.student, self.teacher = student, teacher.eval()
        self.loader = torch.utils.data.DataLoader(
            images,
            batch_size=batch_size,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator().manual_seed(0),
        )
        self.optimizer = torch.optim.SGD(
            student.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        steps, rise = epochs * len(self.loader), 0.15 * epochs * len(self.loader)

        def rate(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            return 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))

        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)
        self.temperature, self.kd_weight = temperature, kd_weight

    def epoch(self) -> float:
        """One pass over the images; returns its seconds."""
        started = time.perf_counter()
        self.student.train()
        for images, labels in self.loader:
            with torch.no_grad():
                teacher_logits = self.teacher(images)
            logits = self.student(images)
            t = self.temperature
            soft = F.kl_div(
                F.log_softmax(logits / t, 1),
                F.log_softmax(teacher_logits / t, 1),
                log_target=True,
                reduction="batchmean",
            )
            hard = F.cross_entropy(logits, labels)
            loss = self.kd_weight * t * t * soft + (1 - self.kd_weight) * hard
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
        return time.perf_counter() - started

    @torch.no_grad()
    def accuracy(self, pixels: np.ndarray, labels: np.ndarray) -> float:
        """Share of images that the student names rightly."""
        self.student.eval()
        inputs = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 128) / 64
        named = torch.cat([self.student(part).argmax(1) for part in inputs.split(500)])
        return float((named.numpy() == labels).mean())
