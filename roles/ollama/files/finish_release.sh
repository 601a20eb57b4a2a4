# Check the version of an unpacked release of Ollama, and move it to its directory: the URL and the
# digest may belong to another release.
#
# `ollama --version` prints the version of a running server, so OLLAMA_HOST has an address without one.
: "${directory?}" "${release?}" "${user?}"
version=$(runuser -u "$user" -- env HOME=/nonexistent OLLAMA_HOST=127.0.0.1:9 \
    "$directory.new/bin/ollama" --version 2>&1 | tail -n 1)
echo "$version" | grep -qwF "$release" || {
    rm -rf "$directory.new"
    echo "the archive does not hold Ollama $release; it reports: $version" >&2
    exit 1
}
[ ! -e "$directory/bin/ollama" ] || {
    rm -rf "$directory.new"
    exit 0
}
rm -rf "$directory"
mv -T "$directory.new" "$directory"
