"""Is everything moving: doctor, metrics, sweeper, selftest; and the reference entries."""
