# Accept a new generation of an engine for NVIDIA GPUs, in the directory of that generation: check that
# its weights are complete, and that it can compile for the GPUs. A copy of the engine's unit compiles,
# with the same user, sandbox, devices and caches, while the former generation serves.
: "${name?}" "${user?}" "${directory?}" "${environment?}" "${weights?}" "${whole?}" "${toolchain?}"
: "${variables?}" "${capability?}"
set -eu
runuser -u "$user" -- python3 -c "$whole" check "$weights"

engine=mirrorfleet-$name.service unit=mirrorfleet-check-$name.service
stage=/run/mirrorfleet-check-$name units=/run/systemd/system
record=$directory/compiles
# A successful compilation is valid until the environment, the sandbox, the host's compiler, the driver
# or a GPU changes.
current=$({
    printf '%s\n' "$environment" "$variables" "$toolchain"
    sed '/^ExecStart=/,/[^\\]$/d' "$engine"
    g++ --version
    nvidia-smi --query-gpu=uuid,driver_version --format=csv,noheader
} 2>/dev/null | sha256sum)
[ "$(cat "$record" 2>/dev/null)" != "$current" ] || exit 0

# shellcheck disable=SC2329 # the trap calls it
clean() {
    rm -rf "$stage" "${units:?}/$unit" "$units/$unit.d"
    systemctl daemon-reload
    systemctl --quiet reset-failed "$unit" 2>/dev/null || true
}
trap clean EXIT
mkdir -p "$stage" "$units/$unit.d"
printf '%s' "$toolchain" >"$stage/toolchain.py"
printf '%s' "$variables" >"$stage/environment"
cp "$engine" "$units/$unit"
cat >"$units/$unit.d/check.conf" <<END
[Service]
Type=oneshot
Restart=no
RemoveIPC=no
TimeoutStartSec=1800
EnvironmentFile=
EnvironmentFile=$stage/environment
ExecStart=
ExecStart=$environment/bin/python -I $stage/toolchain.py $capability
StandardOutput=truncate:$stage/output
END
systemctl daemon-reload
if systemctl start "$unit" 2>"$stage/messages"; then
    echo "$current" >"$record"
    exit 0
fi
# The compiling packages print a lot: show only the summary by toolchain.py.
if ! sed -n '/^The engine cannot compile/,$p' "$stage/output" 2>/dev/null | grep . >&2; then
    cat "$stage/messages" >&2
    journalctl --no-pager -q -o cat -n 12 -u "$unit" >&2
fi
exit 1
