# Load the module of NVIDIA's driver and print which driver runs.
if ! modprobe nvidia; then
    echo "The module nvidia cannot be loaded. If 'dkms status' does not list it as installed for" \
        "$(uname -r), install linux-headers-$(uname -r) and run again; else dmesg says why." >&2
    exit 1
fi
said=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>&1) || said="it fails: $said"
case $said in
    [0-9]*) echo "NVIDIA's driver ${said%%[!0-9.]*} runs; GPUs: $(echo "$said" | grep -c .)" ;;
    *)
        echo "The module nvidia is loaded, and nvidia-smi reports no GPU: $said" >&2
        exit 1
        ;;
esac
