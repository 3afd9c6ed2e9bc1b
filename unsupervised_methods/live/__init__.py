"""The rate of frames as they come: a session for programs, a page for browsers, a view for terminals."""
