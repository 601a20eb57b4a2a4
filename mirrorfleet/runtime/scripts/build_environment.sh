# Build a Python environment from the archive `upload`: uv, requirements.txt and wheels. The
# positional parameters are uv's options. What completes the environment follows this script.
#
# uv builds in the final place (an environment cannot be moved) and the marker is written last. The
# bytecode is compiled now: uv leaves it out by itself, and a service that is not allowed to write
# beside its code would compile it again at every start. What cannot be built takes no room.
: "${environment?}" "${root?}" "${state?}" "${work?by take_upload.sh}"
minor=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ ! -e "$environment/.complete" ] || [ ! -d "$environment/lib/python$minor" ] || exit 0
leave() {
    rm -rf "$work"
    [ ! -e "$environment/.complete" ] || return 0
    rm -rf "$environment"
    echo "$environment cannot be built; what ran before runs on." >&2
    echo "Correct the above, and run again; on a full disk, make room below $root, $state." >&2
}
trap leave EXIT
tar -xf upload && rm upload
python3 -m zipfile -e uv-*.whl uv
uv=$(find uv -path '*/scripts/uv')
chmod +x "$uv"
export UV_CACHE_DIR="$work/cache" UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
umask 022
rm -rf "$environment"
"$uv" venv --quiet --python python3 "$environment"
"$uv" pip install --quiet --python "$environment/bin/python" "$@" --find-links . \
    --require-hashes --no-deps --compile-bytecode -r requirements.txt
