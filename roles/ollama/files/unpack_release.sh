# Unpack a release of Ollama from the archive `upload`.
#
# It prints its version before it gets its name: an address and a digest may be those of another one.
# No server may answer in its place, so it is asked to look for one where none can be.
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
    echo "the archive holds no Ollama $release; it says: $version" >&2
    exit 1
}
mv -T "$directory.new" "$directory"
