# Pull an image.
: "${image?}"
docker pull --quiet "$image" >/dev/null
