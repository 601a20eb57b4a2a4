"""Say how the fleet is: what runs, since when, what is free, what differs from the fleet file.

pyinfra inventories/prod.py deploys/status.py
pyinfra inventories/prod.py deploys/status.py --data report=-

One exec on each host, and no change. Ends with 1 where anything is not as it should be.
"""

from mirrorfleet.jobs import status
from mirrorfleet.roles import (
    claude,
    firewall,
    front,
    litellm,
    migrations,
    ollama,
    ports,
    postgres,
    preflight,
    redis,
    vllm,
)

status.tell(
    *(preflight, firewall, ports, vllm, ollama, redis, postgres),
    *(migrations, litellm, front, claude),
)
