"""A search in pictures: what each candidate came to, and what was known before training."""

from compress_bench.report.canvas import Drawing
from compress_bench.report.search.accuracy_figure import COSTS, accuracy_against
from compress_bench.report.search.reading import Content
from compress_bench.report.search.screening_figure import screening


def draw_all(content: Content) -> dict[str, Drawing]:
    """Every figure that the search has the numbers for, by name; inside `drawing_style`."""
    found = {f"search-{cost.measure}": accuracy_against(content, cost) for cost in COSTS}
    found["search-screening"] = screening(content)
    return {name: drawing for name, drawing in found.items() if drawing is not None}
