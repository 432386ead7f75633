//! What people read: reports, e-mails, charts.
//!
//! Plain views come in, finished bytes go out: [`Renderer`] turns a view into HTML, text and charts, [`mail`] turns
//! those into a [`MailRecord`](crate::domain::outcome::MailRecord), and [`transport`] hands its bytes to a folder or
//! an SMTP server. Rendering is pure and synchronous (callers wrap it), and the same view gives the same bytes.
//! Nothing here reads a table, a store or a clock, and no view can hold a person or a printable count below ten.
//!
//! To add a page or an e-mail: a view with a `sample()` in [`view`], a template under `templates/`, a line in
//! `templates.rs` and a function in `render.rs`; a test renders every template with every sample, strictly.

pub mod alerts;
mod browser_page;
pub mod charts;
pub mod format;
pub mod mail;
pub mod notice;
mod render;
mod templates;
pub mod transport;
pub mod view;

pub use render::{RenderError, RenderedEmail, RenderedReport, Renderer};
