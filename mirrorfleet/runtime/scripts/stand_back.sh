# Make the last other generation that has served current of a service that follows another host's.
: "${previous?by generation.sh}"
former=$(other "$previous")
[ -z "$former" ] || activate "$former"
