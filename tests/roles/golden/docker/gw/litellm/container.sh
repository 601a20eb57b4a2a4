# Run one generation in a container: `sh container.sh serve`, or `sh container.sh check`. Runs as root,
# with the environment of the generation. The container gets the variables that are named here; their
# values are never in argv.
set -eu
job=$1
user=mirrorfleet-litellm
generation=$(readlink -f "$(dirname "$0")")
install -d -m 755 /run/mirrorfleet

# On the host's network, so that the port and the firewall are the host's own. In a cgroup that
# identifies the process with the port as this service's. With an init, because process 1 ignores a
# signal without a handler, and LiteLLM installs its handler late.
set -- --rm --init --pull=never --log-driver=none --network=host --userns=host \
    --cgroup-parent=mirrorfleet-litellm.service.slice \
    --user="$(id -u "$user"):$(id -g "$user")" \
    --read-only --tmpfs=/tmp --cap-drop=ALL --security-opt=no-new-privileges \
    --ulimit=nofile=20000:20000 --workdir=/opt/mirrorfleet/litellm/current \
    --volume="$generation:/opt/mirrorfleet/litellm/current:ro" \
    --volume=/opt/mirrorfleet/litellm/keys:/opt/mirrorfleet/litellm/keys:ro \
    --volume=/run/mirrorfleet:/run/mirrorfleet:ro \
    --env=DISABLE_ADMIN_UI \
    --env=GRACEFUL_SHUTDOWN_TIMEOUT \
    --env=LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS \
    --env=LITELLM_LOCAL_MODEL_COST_MAP \
    --env=LITELLM_LOG \
    --env=LITELLM_MASTER_KEY \
    --env=LITELLM_MODE \
    --env=LITELLM_WORKER_STARTUP_HOOKS \
    --env=MIRRORFLEET_HELD \
    --env=MIRRORFLEET_KEYS \
    --env=NO_DOCS \
    --env=NO_OPENAPI \
    --env=NO_REDOC \
    --env=PYTHONPATH

case $job in
    serve)
        exec docker run "$@" --name=mirrorfleet-litellm --stop-timeout=630 \
            --entrypoint=litellm mirrorfleet-litellm:5fd7bdc9e87f \
            --config=/opt/mirrorfleet/litellm/current/config.yaml \
            --host=10.0.0.2 \
            --port=4000 \
            --num_workers=2 \
            --timeout_worker_healthcheck=60
        ;;
    check)
        exec docker run "$@" --entrypoint=python3 mirrorfleet-litellm:5fd7bdc9e87f check_image.py check_config.py
        ;;
esac
