"""Operating the site: doctor, metrics, sweeper, selftest, and the reference entries."""
