# Complete the CUDA packages of an environment to the usual tree of a CUDA toolkit. FlashInfer, DeepGEMM
# and others link against lib64/libcudart.so and lib64/stubs/libcuda.so. NVIDIA's packages for Python
# install lib/libcudart.so.13 only, and libcuda comes with the driver.
: "${environment?by build_environment.sh}"
set -- "$environment"/lib/python3*/site-packages/nvidia/cu[0-9]*/bin/nvcc
[ -x "$1" ] || { echo "no CUDA compiler (nvcc) below $environment/lib" >&2; exit 1; }
cuda=${1%/bin/nvcc}
ln -sfn lib "$cuda/lib64"
for library in cudart nvrtc cublas cublasLt; do
    set -- "$cuda/lib/lib$library".so.[0-9]*
    [ -e "$1" ] || { echo "no lib$library.so.* in $cuda/lib" >&2; exit 1; }
    ln -sf "${1##*/}" "$cuda/lib/lib$library.so"
done
mkdir -p "$cuda/lib/stubs"
g++ -shared -x c++ -Wl,-soname,libcuda.so.1 -o "$cuda/lib/stubs/libcuda.so" /dev/null
# One path for CUDA_HOME, independent of the version of Python.
ln -sfn "${cuda#"$environment/"}" "$environment/cuda"
