//! Attempts in processes of their own: started, limited, stopped, and found again after a crash.
//!
//! `group` supervises a process group, `members` finds the processes that belong to it, `memory` and `cgroup` limit it,
//! `survivors` ends what outlived its parent, `output` reads what is printed, `program` runs any program. Built on
//! these are `child` (the parent's side of an attempt in a child process), `inside` (the child's), `protocol` (their
//! messages) and `by_kind`.
//!
//! No kind is known here: a kind that runs a program itself says so (`JobRunner::runs_in_parent`).

mod by_kind;
mod cgroup;
mod child;
mod group;
mod identity;
pub mod inside;
mod members;
mod memory;
pub mod output;
pub mod program;
mod protocol;
mod survivors;

pub use by_kind::ByKind;
pub use cgroup::{MemoryMeans, means, means_found};
pub use child::{ProcessIsolation, ProcessSettings};
pub use group::{Group, Rules};
pub use identity::Identity;
pub use memory::{MemoryExceeded, MemoryLimit};
pub use protocol::Order;
pub use survivors::end_survivors;
