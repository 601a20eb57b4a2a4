"""The part of deploys/mirror.py that concerns a database, for a gateway that is not there."""

from mirrorfleet import runtime
from mirrorfleet.roles import migrations, postgres, preflight

runtime.survey(preflight, postgres, migrations)
postgres.serve()
migrations.serve()
postgres.retire()
postgres.leave()
