# Add metadata named "vllm" to the CPU build: the vllm command looks for the name of the CUDA build.
: "${release?}" "${environment?by build_environment.sh}"
for packages in "$environment"/lib/python3.*/site-packages; do
    metadata=$packages/vllm-$release+cpu.dist-info
    mkdir "$metadata"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$release" >"$metadata/METADATA"
done
