"""Pages for a browser, behind a secret address: what answers, to whom, and how much of it at a time."""
