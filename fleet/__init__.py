"""The domain: a fleet file is read, checked and turned into a plan per host.

Nothing here connects to a host, and nothing here imports pyinfra.
"""

from fleet.load import load
from fleet.plan import FleetPlan, HostPlan, plan
from fleet.problems import FleetError, Problem

__all__ = ["FleetError", "FleetPlan", "HostPlan", "Problem", "load", "plan"]
