"""Searches: sweeps whose points depend on the results of earlier ones. What is here is data and loads nothing heavy."""

from sweeps.search import architecture as architecture
from sweeps.search.axes import Choice as Choice
from sweeps.search.axes import Float as Float
from sweeps.search.axes import Int as Int
from sweeps.search.space import Made as Made
from sweeps.search.space import Search as Search
