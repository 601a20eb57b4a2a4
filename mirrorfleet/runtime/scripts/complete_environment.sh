# Mark a Python environment as complete.
: "${environment?by build_environment.sh}"
rm -rf "$UV_CACHE_DIR" # before the marker: removing links to files changes their status time
touch "$environment/.complete"
