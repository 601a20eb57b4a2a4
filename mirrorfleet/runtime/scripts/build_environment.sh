# Build a Python environment from the archive `upload`: uv, requirements.txt and wheels; also
# python.tar.gz if the host's Python is too old. The positional parameters are uv's options. A script
# that completes the environment follows. Every few seconds, a line shows how much of the expected
# megabytes uv has unpacked, if it is known.
#
# uv builds in the final directory, because an environment cannot be moved. The marker is written
# last. Bytecode is compiled now: a service cannot write beside its code, and would otherwise compile
# at every start. A failed build is removed.
: "${environment?}" "${what?}" "${expected?}" "${root?}" "${state?}" "${work?by take_upload.sh}"
minor=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ -e "$environment/.complete" ]; then
    [ ! -d "$environment/lib/python$minor" ] && [ ! -x "$environment/.python/bin/python3" ] || exit 0
fi
meter=
clean_up() {
    [ -z "$meter" ] || kill "$meter" 2>/dev/null || true
    rm -rf "$work"
    [ ! -e "$environment/.complete" ] || return 0
    rm -rf "$environment"
    echo "$environment cannot be built; running services are unaffected." >&2
    echo "Fix the error above and run again. On a full disk, free space below $root and $state." >&2
}
trap clean_up EXIT
tar -xf upload && rm upload
python3 -m zipfile -e uv-*.whl uv
uv=$(find uv -path '*/scripts/uv')
chmod +x "$uv"
export UV_CACHE_DIR="$work/cache" UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
# An index or a proxy of a company has a certificate of the company's authority, which uv's own list
# does not have. A host without the package ca-certificates has no list but uv's.
[ ! -s /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS=1
umask 022
rm -rf "$environment"
# The script that follows, an orphaned sleep included, must not hold the host's lock or the output.
progress() {
    exec 9>&-
    while sleep 5 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        done=$(du -sk "$UV_CACHE_DIR" 2>/dev/null | cut -f 1)
        done=$((${done:-0} * 1024 / 1000000))
        [ "$done" -lt "$expected" ] || done=$expected
        printf '%s: %d.%02d of %d.%02d GB\n' "$what" $((done / 1000)) $((done % 1000 / 10)) \
            $((expected / 1000)) $((expected % 1000 / 10))
    done
}
if [ "$expected" != 0 ]; then
    progress &
    meter=$!
fi
python=python3
if [ -e python.tar.gz ]; then
    # In the environment, so that one is never without the other. Compiled, too; a module that cannot
    # be compiled is one that nothing imports.
    mkdir -p "$environment/.python"
    tar -xzf python.tar.gz --strip-components=1 --no-same-owner -C "$environment/.python"
    python=$environment/.python/bin/python3
    "$python" -m compileall -q "$environment/.python/lib" >/dev/null 2>&1 || true
fi
"$uv" venv --quiet --allow-existing --python "$python" "$environment"
"$uv" pip install --quiet --python "$environment/bin/python" "$@" --find-links . \
    --require-hashes --no-deps --compile-bytecode -r requirements.txt
[ -z "$meter" ] || kill "$meter" 2>/dev/null || true
meter=
