# Default hooks of a switch, which a service can override. Each service defines `ready`.

# Print results of the running generation before the switch; `ready` reads them from $outcomes.
ask() { :; }
# Wait before a planned restart, for example until the service is idle.
settle() { :; }
# Measure the running generation $1 before a switch to another.
measure() { :; }
# Compare the new generation $1 with $2, which it replaces. If it fails, the switch is rolled back.
compare() { :; }
# Filter the journal of a failed start for the output.
words() { tail -n 25; }
# Stop a failed start if systemd alone cannot.
abandon() { :; }
# Remove other things that no generation uses.
tidy() { :; }
