//! Feature sets and labels, built from what was visible at a cutoff.
