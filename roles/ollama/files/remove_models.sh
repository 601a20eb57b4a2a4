# Remove models of a store by their manifests, and the blobs that no manifest names then. As the
# service's user, because that user may have replaced a directory by a link.
: "${directory?}" "${manifests?}" "${blobs?}" "${user?}"
as_user() {
    if id "$user" >/dev/null 2>&1; then runuser -u "$user" -- "$@"; else "$@"; fi
}
cd "$directory" || exit
[ ! -L manifests ] || {
    echo "$directory/manifests is a link: replace it by a directory" >&2
    exit 1
}
digests() { as_user grep -D skip -hoE 'sha256:[0-9a-f]{64}' "$@" 2>/dev/null | tr : - | sort -u; }
for manifest in $manifests; do
    blobs="$blobs $(digests "manifests/$manifest" | tr '\n' ' ')"
    as_user rm -f "manifests/$manifest"
done
named=$(digests -r manifests || true)
for blob in $blobs; do
    case $named in
        *"$blob"*) ;;
        *) as_user rm -f "blobs/$blob" ;;
    esac
done
