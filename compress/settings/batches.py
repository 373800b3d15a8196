"""What export and bench must agree on, refused before either has cost time."""

from compress.errors import UsageError
from compress.settings.bench import Bench
from compress.settings.export import Export


def check_batches(written: Export, measured: Bench, source: str) -> None:
    """Refuse a batch that the files will not take.

    Args:
        written: settings of export.
        measured: settings of bench.
        source: the recipe's name, for errors.

    Raises:
        UsageError: export fixes the batch at another size than bench measures.
    """
    if written.batch_size not in (None, measured.batch_size):
        raise UsageError(
            f"{source}: bench.batch_size: expected {written.batch_size}, at which export fixes the "
            f"batch, found {measured.batch_size}"
        )
