-- The files of the server's log, the oldest first, with their sizes.
show binary logs
