"""A Redis from the fleet file, with real systemd: two gateways share their rate limits."""

import time
from pathlib import Path

from tests.lab import look

PASSWORD = "a p@ssword only for the lab's Redis"
CURRENT = "  workers: 2\n"
WITH_REDIS = (
    f"{CURRENT}  limits: {{models: {{tiny: {{rpm: 4}}}}}}\n"
    "  redis: {install: gpu, password: {file: redis}}\n"
)


def test_gateways_share_a_rate_limit_and_the_next_run_changes_nothing(tmp_path: Path) -> None:
    fleet = look.variant(tmp_path, CURRENT, WITH_REDIS)
    (fleet.parent / "redis").write_text(PASSWORD)
    try:
        done = look.mirror("--diff", fleet=fleet)
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        key = look.secret("developers")
        # Probes of this minute count as well, and the next minute resets the count: wait for it.
        time.sleep(61 - time.time() % 60)
        codes = [look.message(name, key)[0] for _ in range(3) for name in look.GATEWAYS]
        assert codes == [200, 200, 200, 200, 429, 429]
        assert look.changes(look.mirror("--json", fleet=fleet)) == []

        host = look.on("gpu")
        assert not host.service("redis-server").is_running
        assert host.service("mirrorfleet-redis").is_enabled
        command = "redis-cli -h 10.77.0.11 ping; redis-cli -h 127.0.0.1 ping"
        assert "NOAUTH" in look.run("gpu", f"({command}) 2>&1; true")
        [server] = [line for line in look.processes() if line.startswith("/usr/bin/redis-server")]
        assert PASSWORD not in server
    finally:
        assert look.mirror().returncode == 0
