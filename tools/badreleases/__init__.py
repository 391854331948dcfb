"""Bad releases, built from the real agent, let loose on real endpoints: `./dev bad-releases`. Start at `catalogue`."""
