"""One folder per thing on a host. A role reads its part of the plan and nothing else."""
