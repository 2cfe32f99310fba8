"""Running decode steps: eagerly on a CPU, as captured CUDA graphs on a GPU."""

from __future__ import annotations

import torch

from vlm_uec.rollout.cache import View
from vlm_uec.rollout.pool import Pool

# Steps between two reads of a GPU's state: after its response ends, a slot idles half of them on average.
STEPS_PER_READ = 8


class StepRunner:
    """Advances a pool; recurring views are replayed from graphs, without a launch for each kernel."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._cuda = pool.cache.lengths.is_cuda
        self._graphs: dict[tuple[View, bool, bool], torch.cuda.CUDAGraph | None] = {}
        self._memory = torch.cuda.graph_pool_handle() if self._cuda else None

    def run(self, rows: int, longest: int) -> None:
        """Decodes one token (CPU) or a few (GPU) in the first rows, whose longest response has `longest`."""
        if not self._cuda:
            self._pool.step(self._pool.cache.view(rows, longest))
            return
        view = self._pool.cache.view(rows, longest + STEPS_PER_READ - 1)
        for _ in range(STEPS_PER_READ):
            self._replay(view)

    def _replay(self, view: View) -> None:
        key = (view, *self._pool.modes)
        if key not in self._graphs:
            # The first run is eager: libraries allocate their workspaces, which a capture must not.
            self._graphs[key] = None
            self._pool.step(view)
            return
        graph = self._graphs[key]
        if graph is None:
            graph = self._graphs[key] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._memory):
                self._pool.step(view)
        graph.replay()
