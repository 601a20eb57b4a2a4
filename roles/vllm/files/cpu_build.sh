# Name the CPU build's metadata as vLLM's: the command looks itself up under the name of the CUDA
# build.
: "${release?}" "${environment?by build_environment.sh}"
for packages in "$environment"/lib/python3.*/site-packages; do
    metadata=$packages/vllm-$release+cpu.dist-info
    mkdir "$metadata"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$release" >"$metadata/METADATA"
done
