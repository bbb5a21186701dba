"""What drills found, for those who want to know: on a terminal, as JSON, JUnit XML, HTML and metrics. Pure."""
