//! Sources of student data, and the privacy at their door.

pub mod sim;
