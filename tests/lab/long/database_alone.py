"""The part of deploys/mirror.py for a database, without gateways."""

from mirrorfleet.roles.migrations.role import Migrations
from mirrorfleet.roles.postgres.role import Postgres
from mirrorfleet.roles.system.role import System
from mirrorfleet.runtime.preflight import preflight
from mirrorfleet.runtime.steps import in_order, take_steps

ROLES = (System(), Postgres(), Migrations())

preflight(*ROLES)
for role in in_order(ROLES):
    take_steps(role, role.apply)
for role in in_order(ROLES):
    take_steps(role, role.retire)
for role in in_order(ROLES):
    take_steps(role, role.remove)
