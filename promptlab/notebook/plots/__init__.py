"""Plots: what a run gave, drawn to be read without a caption.

Each takes `Results` or a table like theirs and returns a figure that shows itself, or
draws on the axes it is given. A value has one colour in all of them.
"""

from promptlab.notebook.plots.cost import plot_cost
from promptlab.notebook.plots.effects import plot_effects
from promptlab.notebook.plots.flips import plot_flips
from promptlab.notebook.plots.heatmap import plot_heatmap
from promptlab.notebook.plots.interaction import plot_interaction
from promptlab.notebook.plots.latency import plot_latency
from promptlab.notebook.plots.leaderboard import plot_leaderboard
from promptlab.notebook.plots.lengths import plot_lengths
from promptlab.notebook.plots.pareto import plot_pareto
from promptlab.notebook.plots.stability import plot_stability
from promptlab.notebook.plots.tokens import plot_tokens
from promptlab.notebook.plots.usage import plot_usage

__all__ = [
    "plot_cost",
    "plot_effects",
    "plot_flips",
    "plot_heatmap",
    "plot_interaction",
    "plot_latency",
    "plot_leaderboard",
    "plot_lengths",
    "plot_pareto",
    "plot_stability",
    "plot_tokens",
    "plot_usage",
]
