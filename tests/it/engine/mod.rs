//! The engine on a real state store, with jobs that behave as a test says: executor, scheduler, and whole histories.

mod executor;
mod faulty;
mod histories;
mod scheduling;
mod world;
