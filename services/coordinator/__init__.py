"""The coordinator: study index, completeness, plans, queue, events, access and audit."""
