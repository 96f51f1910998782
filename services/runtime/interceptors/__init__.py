"""Server interceptors, outermost first: logs, errors, deadlines, caller, audit."""
