# Make the last other verified generation of a follower current.
: "${previous?by generation.sh}"
former=$(other "$previous")
[ -z "$former" ] || activate "$former"
