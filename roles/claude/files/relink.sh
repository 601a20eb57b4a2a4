# Link the command $2 to $1, atomically.
relink() { ln -sfn "$1" "$2.new" && mv -fT "$2.new" "$2"; }
