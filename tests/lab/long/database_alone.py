"""The part of deploys/mirror.py that concerns a database, for a gateway that is not there."""

from roles import host, migrations, postgres, preflight

host.survey(preflight, postgres, migrations)
postgres.serve()
migrations.serve()
postgres.retire()
postgres.leave()
