//! The one integration binary: each further one would link all of polars again.

mod architecture;
