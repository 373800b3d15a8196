"""The guard against a training that learns nothing: its loss stays at chance level.

A loss that is not finite is seen in the step itself. This is about the quiet failure: logits that
no longer depend on the image, or that were thrown far off, with a loss that is finite for ever.

The rule. Chance is the objective's value for a student that says nothing, which is logits of zeros
(ln C for a cross-entropy, with or without smoothing and mixtures; T^2 (ln C - entropy) for kd; for
any method whatever it gives). An epoch is at chance if

1. its loss is at least 0.99 of chance: a network that has learnt anything is below, and the 1 %
   covers the noise of batches, and
2. its validation accuracy is not shown to be above that of naming the largest class: the lower
   bound of Wilson's interval is at or below that class's share. On even data the share is 1 / C;
   on uneven data a network that names one class is not taken for one that has learnt. So a loss
   that cannot fall (noise in the labels, a teacher who is nearly even) stops nothing that is
   right more often than chance.

Training is stopped after epochs at chance in a row that

3. lie wholly after the warm-up, while the rate is not yet what was asked for,
4. number at least 2 and have at least 200 steps: an epoch of few images is few steps, and a
   thousand classes begin slowly; a run that is shorter than that ends soon by itself, and
5. do not come down from far above: an epoch whose mean loss is more than 1.05 of chance and 5 %
   below the lowest of the epochs at chance before it begins the count anew, since a network may
   be on its way back. Nearer to chance a lower loss says nothing: noise alone finds new lows.

What it misses by intent: a network that has learnt how frequent the classes are, and no more, has
a loss below chance where they are uneven. To stop it there would also stop those that learn a rare
class late.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.data.dataset import UNLABELLED
from compress.intervals import wilson
from compress.settings import Training

AT_CHANCE = 0.99  # of the chance level
FAR = 1.05  # times chance, from where a loss may come down
FALL = 0.95  # of the lowest so far, which counts as coming down
PATIENCE = 2  # epochs
LEAST_STEPS = 200


@dataclass(frozen=True, kw_only=True)
class EpochEnd:
    """What an epoch has come to.

    Attributes:
        step: steps done over all epochs, this one included.
        steps: steps of this epoch.
        loss: its mean over all steps of the epoch; of the terms below.
        terms: the weighted terms of the loss that the logits decide, means over some of its steps.
        chance: the same terms over the same steps, for logits of zeros.
        right: images of the validation split that were named rightly.
        labels: of the validation split, int64 [N].
    """

    step: int
    steps: int
    loss: float
    terms: Mapping[str, float]
    chance: Mapping[str, float]
    right: int
    labels: NDArray[np.int64]

    def share_of_chance(self) -> float | None:
        """The loss as a share of its chance level; None where that means nothing."""
        loss, chance = sum(self.terms.values()), sum(self.chance.values())
        if not (math.isfinite(loss) and math.isfinite(chance) and chance > 0):
            return None
        return loss / chance


class ChanceGuard:
    """Counts the epochs at chance; see the module for the rule.

    Attributes:
        state: what it remembers, plain numbers; saved with the training, and given back to go on.
    """

    def __init__(
        self,
        state: dict[str, float],
        *,
        warmup_steps: float,
        patience: int = PATIENCE,
        least_steps: int = LEAST_STEPS,
    ) -> None:
        """Go on from `state`, which is changed in place; empty at the start of a training.

        Args:
            state: what an earlier guard remembered.
            warmup_steps: steps in which the learning rate rises.
            patience: epochs at chance in a row that stop a training.
            least_steps: steps that these epochs must have together.
        """
        self.state = state
        self._warmup_steps = warmup_steps
        self._patience, self._least_steps = patience, least_steps

    def stops(self, epoch: EpochEnd) -> bool:
        """Take note of an epoch; says whether training is to stop. Call once an epoch."""
        share = epoch.share_of_chance()
        if share is None or share < AT_CHANCE or beats_chance(epoch.right, epoch.labels):
            self.state.clear()
            return False
        mean = epoch.loss / sum(epoch.chance.values())
        lowest = self.state.get("lowest", mean)
        falls = mean > FAR and mean < FALL * lowest
        warm = epoch.step - epoch.steps >= self._warmup_steps
        counts = warm and not falls
        self.state["lowest"] = min(lowest, mean)
        self.state["epochs"] = self.state.get("epochs", 0) + 1 if counts else 0
        self.state["steps"] = self.state.get("steps", 0) + epoch.steps if counts else 0
        long = self.state["epochs"] >= self._patience
        return long and self.state["steps"] >= self._least_steps

    def sentence(self, title: str, epoch: EpochEnd, last_state: str, settings: Training) -> str:
        """Why training was stopped, where the last state lies, and what to do.

        Args:
            title: of the training.
            epoch: the one that made it stop.
            last_state: where the last good state lies, in words; or that there is none.
            settings: the schedule that was used.
        """
        terms = ", ".join(
            f"{name} {value:.4g} (chance {epoch.chance[name]:.4g})"
            for name, value in epoch.terms.items()
        )
        known = labelled(epoch.labels)
        return (
            f"{title}: expected to learn something after the warm-up, found {terms} and "
            f"{100 * epoch.right / len(known):.1f} % right on validation, which is no more than "
            f"naming one class gives ({100 * largest_share(known):.1f} %), for "
            f"{self.state['epochs']:.0f} epochs up to step {epoch.step}; {last_state}; "
            f"use a lower --lr than {settings.lr:g}, a longer --warmup than {settings.warmup:g} or "
            f"{_clipping(settings.clip_norm)} with --force, or look at labels and normalisation "
            "with --dry-run"
        )


def _clipping(clip_norm: float) -> str:
    return f"a smaller --clip-norm than {clip_norm:g}" if clip_norm else "--clip-norm 5"


def beats_chance(right: int, labels: NDArray[np.int64]) -> bool:
    """Whether `right` answers show more than naming the largest class; unknown counts as yes.

    Args:
        right: number of right answers among the labelled images.
        labels: int64 [N]; UNLABELLED images do not count.
    """
    known = labelled(labels)
    if not len(known):
        return True  # nothing can be said against it
    return wilson(right, len(known)).low > largest_share(known)


def labelled(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The labels that are known: int64 [M]."""
    return np.asarray(labels[labels != UNLABELLED])


def largest_share(labels: NDArray[np.int64]) -> float:
    """Share of the most frequent of `labels`, int64 [N] with N >= 1; 1 / C where they are even."""
    return float(np.unique(labels, return_counts=True)[1].max()) / len(labels)
