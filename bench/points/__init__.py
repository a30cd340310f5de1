"""Names and configs: what one run is. Imports no numerical library."""

from bench.points.configs import Config as Config
from bench.points.configs import Transfer as Transfer
from bench.points.configs import Upstream as Upstream
from bench.points.datasets import UPSTREAM as UPSTREAM
from bench.points.execution import Execution as Execution
from bench.points.levels import LEVELS as LEVELS
from bench.points.names import parse as parse
from bench.points.names import parse_transfer as parse_transfer
from bench.points.names import parse_upstream as parse_upstream
from bench.points.tasks import TASKS as TASKS
from bench.points.variants import VARIANTS as VARIANTS

KINDS: dict[str, type[Upstream] | type[Transfer]] = {c.kind: c for c in (Upstream, Transfer)}
