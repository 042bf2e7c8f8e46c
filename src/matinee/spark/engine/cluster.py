"""Cluster: where Spark runs and how its ALS is spread there, checked before Spark starts."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from matinee.errors import EngineError, UsageError

OLDEST_JAVA = 17
OLDEST_PYSPARK = 4
INSTALL_JAVA = "install Java 17 (Debian: apt-get install openjdk-17-jre-headless), or name its folder in JAVA_HOME"
MASTERS = re.compile(r"local(\[(\d+|\*)(, *\d+)?\])?$|spark://|yarn$|k8s://")


@dataclass(frozen=True)
class Cluster:
    """Where Spark runs and how its ALS is spread there.

    master      local[N], spark://HOST:PORT, yarn or k8s://...
    conf        Spark's own settings, such as {"spark.executor.memory": "8g"}
    patience    seconds to wait for the first worker
    """

    name: ClassVar[str] = "spark"

    master: str = "local[*]"
    conf: Mapping[str, str] = field(default_factory=dict)
    patience: float = 60.0

    user_blocks: int = 10
    """Blocks that users are cut into."""
    item_blocks: int = 10
    """Blocks that movies are cut into."""
    block_size: int = 4096
    """Rows that are stacked in one block when Spark predicts."""
    checkpoint_interval: int = 10
    """Iterations between two checkpoints; -1: none. They need a folder."""
    checkpoint_dir: str | None = None
    """Folder of checkpoints that all executors reach."""
    cold_start: str = "drop"
    """What Spark predicts of a pair it cannot know: drop or nan; such pairs are counted and left out either way."""

    def __post_init__(self) -> None:
        if not MASTERS.match(self.master):
            raise UsageError(f"the master is local[N], spark://HOST:PORT, yarn or k8s://HOST:PORT, not {self.master!r}")
        if self.cold_start not in ("drop", "nan"):
            raise UsageError(f"spark.cold_start is drop or nan, not {self.cold_start!r}")
        for name in ("user_blocks", "item_blocks", "block_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"spark.{name} is at least 1, not {getattr(self, name)}")
        if self.checkpoint_interval < 1 and self.checkpoint_interval != -1:
            raise UsageError(f"spark.checkpoint_interval is at least 1, or -1 for none, not {self.checkpoint_interval}")

    @classmethod
    def of(cls, said: Mapping[str, Any] | None, **others: Any) -> Cluster:
        """Return the cluster that `described` wrote, with other settings where they are given."""
        return cls(**{**{name: value for name, value in (said or {}).items() if name != "name"}, **others})

    def described(self) -> dict[str, Any]:
        """Return it as a manifest holds it: without `conf`, which may hold secrets, and `patience`."""
        fields = {name: value for name, value in asdict(self).items() if name not in ("conf", "patience")}
        return {"name": self.name, **fields}

    @property
    def is_local(self) -> bool:
        """Whether Spark runs in one process of this machine."""
        return self.master.startswith("local")


def pyspark_session() -> Any:
    install = "install it with `pip install 'matinee[spark]'`"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyspark import __version__ as version
            from pyspark.sql import SparkSession
    except ImportError:
        raise EngineError(f"the engine spark needs pyspark; {install}") from None
    if int(version.partition(".")[0]) < OLDEST_PYSPARK:
        raise EngineError(f"the engine spark needs pyspark {OLDEST_PYSPARK} or newer, and here is {version}; {install}")
    return SparkSession


def check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if java is None:
        raise EngineError(
            f"Spark needs Java, which is not installed{f' in JAVA_HOME={home}' if home else ''}; {INSTALL_JAVA}"
        )
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:  # not a program
        said = ""
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        found = f"is Java {version[1]}" if version else "does not say its version"
        raise EngineError(f"Spark needs Java {OLDEST_JAVA} or newer, and {java} {found}; {INSTALL_JAVA}")


def check_master(master: str) -> None:
    """Raise EngineError where the master is incomplete or not listening: Spark would try for a minute."""
    kind, _, addresses = master.partition("://")
    if kind == "yarn" and not (os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR")):
        raise EngineError(
            "the master yarn needs the cluster's settings, and neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set; name "
            "the folder of its core-site.xml and yarn-site.xml in one of them"
        )
    if not addresses:
        return
    try:
        hosts = [_host_and_port(kind, address) for address in addresses.split(",")]
    except ValueError:
        raise UsageError(f"the master is {kind}://HOST:PORT, not {master!r}") from None
    for host, port in hosts:
        with suppress(OSError), socket.create_connection((host, port), timeout=5):
            return
    raise EngineError(f"no Spark master answers at {master}; start it, or check host and port")


def _host_and_port(kind: str, address: str) -> tuple[str, int]:
    """Return a master's host and port; Kubernetes has the port of https by default. Raises ValueError."""
    found = urlsplit(address if "://" in address else f"//{address}")
    port = found.port or (443 if kind == "k8s" else None)
    if not found.hostname or port is None:
        raise ValueError(address)
    return found.hostname, port
