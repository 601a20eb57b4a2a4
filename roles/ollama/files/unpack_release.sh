# Unpack a release of Ollama from the archive `upload`, and check its version: the URL and the digest
# may belong to another release.
#
# `ollama --version` prints the version of a running server, so OLLAMA_HOST has an address without one.
: "${directory?}" "${release?}" "${user?}"
[ ! -e "$directory" ] || exit 0
umask 022
rm -rf "$directory.new"
mkdir -p "$directory.new"
tar -xf upload -C "$directory.new" --no-same-owner
chmod -R u=rwX,go=rX "$directory.new"
version=$(runuser -u "$user" -- env HOME=/nonexistent OLLAMA_HOST=127.0.0.1:9 \
    "$directory.new/bin/ollama" --version 2>&1 | tail -n 1)
echo "$version" | grep -qwF "$release" || {
    rm -rf "$directory.new"
    echo "the archive does not hold Ollama $release; it reports: $version" >&2
    exit 1
}
mv -T "$directory.new" "$directory"
