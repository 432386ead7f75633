//! Models, their evaluation, drift and quality figures.
