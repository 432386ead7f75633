//! Attempts in processes of their own: started, limited, stopped, and found again after a crash.
//!
//! `group` supervises a process group, `members` knows who belongs to it, `memory` and `cgroup` limit it, `survivors`
//! ends what outlived its parent, `output` reads what is printed, `program` runs any program.
//!
//! No kind is known here: a kind that runs a program of its own says so (`JobRunner::runs_in_parent`).

mod cgroup;
mod group;
mod identity;
mod members;
mod memory;
pub mod output;
pub mod program;
mod survivors;

pub use cgroup::{MemoryMeans, means};
pub use group::{Group, Rules};
pub use identity::Identity;
pub use memory::{MemoryExceeded, MemoryLimit};
pub use survivors::end_survivors;
