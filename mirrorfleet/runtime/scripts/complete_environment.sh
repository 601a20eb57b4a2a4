# Mark a Python environment as complete.
: "${environment?by build_environment.sh}"
rm -rf "$UV_CACHE_DIR" # files are linked from there, and to lose a link is a change of status
touch "$environment/.complete"
