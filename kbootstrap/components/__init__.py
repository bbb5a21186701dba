"""What gets installed, one file per thing: pure functions from a site to the steps that make it so."""
