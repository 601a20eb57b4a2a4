# NVIDIA's GPUs and MIG slices with their UUIDs, as the driver lists them: a line each.
device_names() {
    command -v "$1" >/dev/null || return 0
    timeout 60 "$1" -L 2>/dev/null | while IFS= read -r line; do say device_names "$1" "$line"; done
}
