# What a service does in a switch, unless its own file says otherwise. Each service defines `ready`.

# Print what the running generation does before the switch; `ready` finds it in the file $outcomes.
ask() { :; }
# Make what a person reads of the journal of a start that failed.
words() { tail -n 25; }
# End a start that has failed, where systemd alone cannot.
abandon() { :; }
# Remove what else no generation uses any more.
tidy() { :; }
