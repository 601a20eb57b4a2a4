# Record the image that this run brought, once Docker has it: only recorded images are removed later.
: "${images?}" "${key?}" "${image?by load_image.sh}"
mkdir -p "$images" && echo "$image" >"$images/$key"
