# Load an image from the archive `upload` under one name, by its digest: the names in the archive are
# arbitrary, or missing. Give names that Docker had before back to their former images.
: "${image?}"
before=$(docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}')
printed=$(docker load --input upload)
names=$(echo "$printed" | sed -n 's/^Loaded image[^:]*: //p')
loaded=$(for name in $names; do docker image inspect --format '{{.Id}}' "$name"; done | sort -u)
number=$(echo "$loaded" | grep -cx 'sha256:[0-9a-f]*' || true)
[ "$number" != 1 ] || docker tag "$loaded" "$image"
for name in $names; do
    former=$(echo "$before" | awk -v name="$name" '$1 == name { print $2 }')
    case $name in
        sha256:*) ;;
        *) if [ "$former" ]; then docker tag "$former" "$name"; else docker image rm "$name"; fi ;;
    esac
done >/dev/null
[ "$number" = 1 ] || {
    echo "the archive must hold one image; Docker printed: $printed" >&2
    exit 1
}
