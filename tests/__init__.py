"""Tests of PulseScope; each makes its own data, parity tests also read recorded reference material."""
