"""The commands of `mirrorfleet`: one module each, with `declare` for its options and `run`."""

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
