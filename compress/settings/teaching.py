"""How a student is taught."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from compress.errors import UsageError
from compress.settings.expect import expect
from compress.settings.method_names import list_methods

_METHOD_HELP = (
    f"Distillation loss: {', '.join(list_methods())}; several are a weighted sum. In a recipe also "
    "a block such as {name: dkd, beta: 8}, or a list of names and blocks."
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Teaching:
    """How a student is taught.

    Attributes:
        method: Distillation losses: names, or blocks as JSON objects.
        temperature: T, which softens both distributions [the method's].
        kd_weight: Weight of the distillation loss [the method's].
        ce_weight: Weight of the cross-entropy with the labels [the method's; 0 with --transfer].
        labels: Use the labels of this many training images only; 0 uses all of them.
        transfer: Unlabelled images (a folder or an .npz) that teach in place of the training split.
        keep_logits: Ask the teacher once a view and keep its logits: always, never, or auto, where
            a view is seen more than once.
        logits: Folder of the kept logits, which several trials may share [OUT/logits].
        with_baseline: Also train the same student without the teacher, under the same budget.
    """

    method: Annotated[
        tuple[str, ...], Parameter(help=_METHOD_HELP, negative="", show_default=" ".join)
    ] = ("kd",)
    temperature: float | None = None
    kd_weight: float | None = None
    ce_weight: float | None = None
    labels: int = 0
    transfer: str | None = None
    keep_logits: Literal["auto", "always", "never"] = "auto"
    logits: Path | None = None
    with_baseline: bool = False

    def check(self) -> None:
        """Refuse numbers that no loss can use.

        Raises:
            UsageError: a temperature or weight out of its range, or two flags that contradict.
        """
        warm = self.temperature is None or 0 < self.temperature < float("inf")
        expect("temperature", self.temperature, warm, "a number above 0")
        for name in ("kd_weight", "ce_weight"):
            value = getattr(self, name)
            expect(name, value, value is None or 0 <= value < float("inf"), "0 or more")
        expect("labels", self.labels, self.labels >= 0, "0 or more")
        expect("method", self.method, bool(self.method), "a method or more")
        if self.kd_weight == self.ce_weight == 0:
            raise UsageError("--kd-weight and --ce-weight: both are 0, so nothing would be learnt")
        if self.logits is not None and self.keep_logits == "never":
            raise UsageError(
                f"--logits {self.logits} and --keep-logits never: expected one of them; a folder "
                "of kept logits serves only where they are kept"
            )
        if self.transfer is not None:
            self._check_transfer(self.transfer)

    def _check_transfer(self, transfer: str) -> None:
        """Unlabelled images leave nothing to learn from but the teacher."""
        if self.kd_weight == 0:
            raise UsageError(
                f"--transfer {transfer}: expected a --kd-weight above 0, found 0; images without "
                "labels teach nothing without a teacher"
            )
        if self.labels:
            raise UsageError(
                f"--transfer {transfer} and --labels {self.labels}: expected one of them; a "
                "transfer set has no labels, and takes the place of the training split"
            )
        if self.ce_weight:
            raise UsageError(
                f"--transfer {transfer} and --ce-weight {self.ce_weight:g}: expected one of them; "
                "a transfer set has no labels to weigh"
            )
