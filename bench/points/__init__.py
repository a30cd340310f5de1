"""Names and configs: what one run is. Imports no numerical library."""

from bench.points.checkpoint import Checkpoint as Checkpoint
from bench.points.config import Config as Config
from bench.points.datasets import UPSTREAM as UPSTREAM
from bench.points.execution import Execution as Execution
from bench.points.levels import LEVELS as LEVELS
from bench.points.names import parse as parse
from bench.points.names import parse_probe as parse_probe
from bench.points.names import parse_transfer as parse_transfer
from bench.points.names import parse_upstream as parse_upstream
from bench.points.probe import Probe as Probe
from bench.points.tasks import TASKS as TASKS
from bench.points.transfer import Transfer as Transfer
from bench.points.upstream import Upstream as Upstream
from bench.points.variants import VARIANTS as VARIANTS

# What a run can be; weights from elsewhere are no run.
KINDS: dict[str, type[Upstream | Transfer | Probe]] = {c.kind: c for c in (Upstream, Transfer, Probe)}
