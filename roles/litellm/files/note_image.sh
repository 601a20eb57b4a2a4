# Note which image is ours, only when it is there, so that no other one is removed later.
: "${images?}" "${key?}" "${image?by load.sh}"
mkdir -p "$images" && echo "$image" >"$images/$key"
