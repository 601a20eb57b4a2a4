# Load the module of NVIDIA's driver and print which driver runs.
if ! modprobe nvidia; then
    echo "The module nvidia cannot be loaded. If 'dkms status' does not list it as installed for" \
        "$(uname -r), install linux-headers-$(uname -r) and run again; otherwise see dmesg." >&2
    exit 1
fi
output=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>&1) || output="it fails: $output"
case $output in
    [0-9]*) echo "NVIDIA's driver ${output%%[!0-9.]*} runs; GPUs: $(echo "$output" | grep -c .)" ;;
    *)
        echo "The module nvidia is loaded, but nvidia-smi reports no GPU: $output" >&2
        exit 1
        ;;
esac
